"""bayesian-torch: its flipout layers, in a loop as its examples have it."""

import torch
import worker
from bayesian_torch.layers import LinearFlipout
from bayesian_torch.models.dnn_to_bnn import get_kl_loss
from torch import nn
from torch.nn import functional


class Network(nn.Module):
    """784-400-400-10."""

    def __init__(self):
        super().__init__()
        sizes = ((784, 400), (400, 400), (400, 10))
        self.layers = nn.ModuleList([LinearFlipout(*size) for size in sizes])

    def forward(self, x):
        for i, layer in enumerate(self.layers):
            x, _ = layer(x if i == 0 else x.relu())
        return x


def make(item, variant, data):
    """Returns the block of an item."""
    del item, variant
    torch.manual_seed(0)
    x = torch.from_numpy(data["x"]).reshape(-1, 784).float() / 255
    dataset = torch.utils.data.TensorDataset(x, torch.from_numpy(data["y"]).long())
    loader = torch.utils.data.DataLoader(dataset, int(data["batch_size"]), shuffle=True)
    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def block():
        total = 0.0
        for images, labels in loader:
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), labels)
            loss = loss + get_kl_loss(model) / len(dataset)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return len(dataset), total / len(loader)

    return block


if __name__ == "__main__":
    worker.serve(make, "cpu")
