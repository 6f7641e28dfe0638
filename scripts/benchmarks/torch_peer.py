"""PyTorch: as its users write it (a DataLoader), and as fast as we could make it."""

import itertools
import math

import torch
import worker
from torch import nn
from torch.nn import functional

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _log_mixture(z, log_weights, loc, log_scale):
    """Returns log sum_k w_k N(z; loc_k, diag(scale_k)^2) + D/2 log 2 pi, by two products."""
    precision = torch.exp(-2 * log_scale)
    constant = log_weights - (0.5 * loc.square() * precision + log_scale).sum(-1)
    each = torch.addmm(constant, z, (loc * precision).T)
    each = torch.addmm(each, z.square(), precision.T, alpha=-0.5)
    return torch.logsumexp(each, -1)


class Mixture(nn.Module):
    """A learned mixture of normals as p(z), which starts as that of tfp_vae."""

    def __init__(self, size, count=100):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(count))
        self.loc = nn.Parameter(math.sqrt(0.5) * torch.randn(count, size))
        start = math.log(math.expm1(math.sqrt(0.5)))
        self.raw = nn.Parameter(torch.full((count, size), start))

    def forward(self, z):
        log_scale = functional.softplus(self.raw).log()
        return _log_mixture(z, self.logits.log_softmax(0), self.loc, log_scale)


class Vamp(nn.Module):
    """Pseudo-inputs, which the encoder sees below the batch: one product for both."""

    def __init__(self, x, count=100):
        super().__init__()
        start = x.mean(0) + x.std(0) * torch.randn(count, x.shape[1])
        self.raw = nn.Parameter(start.clip(0.02, 0.98).logit())

    def forward(self, z, loc, log_variance):
        weights = torch.full((len(loc),), -math.log(len(loc)))
        return _log_mixture(z, weights, loc, 0.5 * log_variance)


class Flow(nn.Module):
    """Couplings (RealNVP) from z to a standard normal; halves take turns."""

    def __init__(self, size, count=6, hidden=64):
        super().__init__()
        self.half = size // 2
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(self.half, hidden), nn.SiLU(), nn.Linear(hidden, size))
            for _ in range(count)
        )
        for network in self.networks:
            nn.init.zeros_(network[2].weight)
            nn.init.zeros_(network[2].bias)

    def forward(self, z):
        moved, seen = z.chunk(2, dim=1)
        volume = 0.0
        for network in self.networks:
            log_scale, shift = network(seen).chunk(2, dim=1)
            log_scale = 2 * torch.tanh(log_scale / 2)
            seen, moved = (moved - shift) * torch.exp(-log_scale), seen
            volume = volume + log_scale.sum(1)
        return -0.5 * (seen.square().sum(1) + moved.square().sum(1)) - volume


class VAE(nn.Module):
    """784-400-20-400-784, or two convolutions and their mirror; returns a loss per example."""

    def __init__(self, convolutional=False, draws=0, prior=None):
        super().__init__()
        self.prior = prior  # None is a standard normal
        self.draws = draws  # K of the importance-weighted bound; 0 for the ELBO
        size = 16 if convolutional else 20
        if convolutional:
            self.encoder = nn.Sequential(
                nn.Unflatten(1, (1, 28, 28)),
                *(nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU()),
                *(nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU(), nn.Linear(128, 2 * size)),
            )
            self.decoder = nn.Sequential(
                *(nn.Linear(size, 128), nn.ReLU(), nn.Linear(128, 64 * 49), nn.ReLU()),
                nn.Unflatten(1, (64, 7, 7)),
                *(nn.ConvTranspose2d(64, 64, 3, 2, 1, 1), nn.ReLU()),
                *(nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU()),
                *(nn.Conv2d(32, 1, 1), nn.Flatten()),
            )
        else:
            self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 2 * size))
            self.decoder = nn.Sequential(nn.Linear(size, 400), nn.ReLU(), nn.Linear(400, 784))

    def _drawn_kl(self, x):
        """Returns z and log q(z|x) - log p(z) of each example."""
        if isinstance(self.prior, Vamp):
            seen = torch.cat([x, self.prior.raw.sigmoid()])
            parts = self.encoder(seen).split([len(x), len(self.prior.raw)])
            (loc, log_variance), others = (part.chunk(2, dim=1) for part in parts)
        else:
            loc, log_variance = self.encoder(x).chunk(2, dim=1)
            others = ()
        noise = torch.randn_like(loc)
        z = loc + torch.exp(0.5 * log_variance) * noise
        log_q = -0.5 * (noise.square() + log_variance).sum(1)
        return z, log_q - self.prior(z, *others)

    def forward(self, x):
        if self.prior is not None:
            z, kl = self._drawn_kl(x)
            logits = self.decoder(z)
            loss = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            return (loss + kl.sum()) / len(x)
        loc, log_variance = self.encoder(x).float().chunk(2, dim=1)
        if self.draws:
            noise = torch.randn(self.draws, *loc.shape)
            z = loc + torch.exp(0.5 * log_variance) * noise
            logits = self.decoder(z.flatten(0, 1)).view(self.draws, len(x), -1)
            ratio = 0.5 * (noise.square() - z.square() + log_variance).sum(-1)
            weights = (x * logits - functional.softplus(logits)).sum(-1) + ratio
            return math.log(self.draws) - torch.logsumexp(weights, 0).mean()
        z = loc + torch.exp(0.5 * log_variance) * torch.randn_like(loc)
        logits = self.decoder(z).float()
        kl = -0.5 * torch.sum(1 + log_variance - loc.square() - log_variance.exp())
        loss = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") + kl
        return loss / len(x)


class Local(nn.Module):
    """A dense layer with a normal posterior, by local reparameterization (Kingma et al., 2015)."""

    def __init__(self, fan_in, fan_out):
        super().__init__()
        self.loc = nn.Parameter(torch.randn(fan_in, fan_out) / math.sqrt(fan_in))
        start = math.log(math.expm1(0.1 / math.sqrt(fan_in)))  # as tfp_vae starts
        self.raw = nn.Parameter(torch.full((fan_in, fan_out), start))
        self.bias = nn.Parameter(torch.zeros(fan_out))

    def noisy(self, x, scale):
        """Returns what the noise of the weights adds to the outputs."""
        variance = x.square() @ scale.square()
        return torch.sqrt(variance + 1e-12) * torch.randn_like(variance)

    def forward(self, x):
        scale = functional.softplus(self.raw)
        kl = 0.5 * torch.sum(scale.square() + self.loc.square() - 1) - torch.sum(scale.log())
        return x @ self.loc + self.noisy(x, scale) + self.bias, kl


class Flipout(Local):
    """The same posterior with one draw and signs per example (Wen et al., 2018)."""

    def noisy(self, x, scale):
        """Returns what the noise of the weights adds to the outputs."""
        into = 1.0 - 2.0 * torch.randint_like(x, 2)
        out = 1.0 - 2.0 * torch.randint(0, 2, (len(x), scale.shape[1])).float()
        return ((x * into) @ (scale * torch.randn_like(scale))) * out


class Network(nn.Module):
    """784-400-400-10; returns -ELBO per example."""

    def __init__(self, layer, num_data):
        super().__init__()
        self.layers = nn.ModuleList([layer(784, 400), layer(400, 400), layer(400, 10)])
        self.num_data = num_data

    def forward(self, x, y):
        total = 0.0
        for i, layer in enumerate(self.layers):
            x, kl = layer(x if i == 0 else x.relu())
            total = total + kl
        return functional.cross_entropy(x, y) + total / self.num_data


def _tuned(model, tensors, prepare, batch_size, half=False):
    """Returns an epoch over tensors in memory: no DataLoader, a fused optimizer."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def block():
        total = torch.zeros([])
        order = torch.randperm(len(tensors[0]))
        for index in order.split(batch_size):
            batch = prepare(*(tensor[index] for tensor in tensors))
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(DEVICE, torch.bfloat16, enabled=half):
                loss = model(*batch)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return len(order), total.item() / len(order.split(batch_size))

    block.parameters = lambda: sum(each.numel() for each in model.parameters())
    return block


def _usual(model, x, batch_size):
    """Returns an epoch as tutorials write it."""
    dataset = torch.utils.data.TensorDataset(x)
    order = torch.Generator(device=DEVICE)
    loader = torch.utils.data.DataLoader(dataset, batch_size, shuffle=True, generator=order)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def block():
        total = 0.0
        for (grey,) in loader:
            optimizer.zero_grad()
            loss = model(torch.bernoulli(grey))
            loss.backward()
            optimizer.step()
            total += loss.item()
        return len(dataset), total / len(loader)

    return block


def _likelihood(model, x, num_samples=500):
    """Returns log p(x) of 1,000 images, streamed in chunks of samples."""

    @torch.no_grad()
    def block():
        total = 0.0
        for batch in x.split(100):
            loc, log_variance = model.encoder(batch).chunk(2, dim=1)
            scale = torch.exp(0.5 * log_variance)
            parts = []
            for _ in range(0, num_samples, 10):
                noise = torch.randn(10, *loc.shape)
                z = loc + scale * noise
                logits = model.decoder(z.flatten(0, 1)).view(10, len(batch), -1)
                log_likelihood = (batch * logits - functional.softplus(logits)).sum(-1)
                ratio = 0.5 * (noise.square() - z.square() + log_variance).sum(-1)
                parts.append(log_likelihood + ratio)
            weights = torch.cat(parts)
            total += (torch.logsumexp(weights, 0) - math.log(num_samples)).sum().item()
        return len(x), total / len(x)

    return block


def _temperatures(steps):
    curve = torch.sigmoid(4 * (2 * torch.linspace(0, 1, steps + 1) - 1))
    return ((curve - curve[0]) / (curve[-1] - curve[0])).tolist()


def _annealing(model, x, steps, chains=16, leapfrogs=3):
    """Returns log p(x) of images by annealing; what is known at z is kept, as tfp_vae does."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    betas = _temperatures(steps)

    def point(z):
        z = z.detach().requires_grad_()
        logits = model.decoder(z)
        rise = (x * logits - functional.softplus(logits)).sum(-1)
        (slope,) = torch.autograd.grad(rise.sum(), z)
        z = z.detach()
        return z, -0.5 * z.square().sum(-1), rise.detach(), slope

    def block():
        here = point(torch.randn(chains, len(x), 20))
        log_w = torch.zeros(chains, len(x))
        for before, beta in itertools.pairwise(betas):
            log_w += (beta - before) * here[2]
            size = (0.6 + 0.8 * torch.rand(chains, len(x), 1)) * 0.3 / (1 + 9 * beta) ** 0.5
            start = torch.randn_like(here[0])
            momentum, there = start + 0.5 * size * (beta * here[3] - here[0]), here
            for number in range(leapfrogs):
                there = point(there[0] + size * momentum)
                share = 1.0 if number + 1 < leapfrogs else 0.5
                momentum = momentum + share * size * (beta * there[3] - there[0])
            gain = there[1] + beta * there[2] - here[1] - beta * here[2]
            gain += 0.5 * (start.square() - momentum.square()).sum(-1)
            accepted = torch.rand_like(gain).log() < gain
            here = tuple(
                torch.where(accepted if old.dim() == 2 else accepted[..., None], new, old)
                for new, old in zip(there, here, strict=True)
            )
        return len(x), (torch.logsumexp(log_w, 0) - math.log(chains)).mean().item()

    return block


def make(item, variant, data):
    """Returns the block of an item."""
    if DEVICE != "cpu":  # as a default it costs on a CPU, too
        torch.set_default_device(DEVICE)
    torch.manual_seed(0)
    stored = torch.from_numpy(data["x"]).reshape(-1, 784).to(DEVICE)
    batch_size = int(data["batch_size"])

    def binarised(grey):
        return (torch.bernoulli(grey.float() / 255),)

    if item in ("B1", "B1f"):
        model = Network({"local": Local, "flipout": Flipout}[variant], len(stored))
        labels = torch.from_numpy(data["y"]).long().to(DEVICE)
        return _tuned(model, (stored, labels), lambda x, y: (x.float() / 255, y), batch_size)
    priors = {
        "mixture": lambda: Mixture(20),
        "vamp": lambda: Vamp(torch.bernoulli(stored[:2000].float() / 255)),
        "flow": lambda: Flow(20),
    }
    draws = int(variant) if item == "I50" else 0
    model = VAE(item == "V3", draws, priors.get(variant, lambda: None)())
    if item == "E1":
        train = _tuned(model, (stored,), binarised, batch_size)
        for _ in range(3):
            train()
        return _likelihood(model, torch.bernoulli(stored[:1000].float() / 255))
    if item == "AIS1":
        train = _tuned(model, (stored,), binarised, batch_size)
        for _ in range(3):
            train()
        return _annealing(model, torch.bernoulli(stored[:100].float() / 255), int(variant))
    if variant == "usual":
        return _usual(model, stored.float() / 255, batch_size)
    if variant == "compiled":
        model.compile()
    return _tuned(model, (stored,), binarised, batch_size, half=variant == "bfloat16")


if __name__ == "__main__":
    worker.serve(make)
