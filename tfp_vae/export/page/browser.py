"""A page in a real browser: what the decoder in it computes, against what it should."""

import base64
import hashlib
import html
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import numpy as np

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No window, no profile of the user, and no name is looked up even if a page should try to.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
    "--disable-background-networking --disable-component-update --disable-extensions"
).split()
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"
_SCRIPT = """
const request = JSON.parse(document.getElementById("request").textContent);
const note = Object.assign(document.createElement("pre"), {id: "answer"});
try {
  const decode = window.tfpVae.decode;
  const means = request.latents.map((z, i) => [...decode(z, (request.labels || [])[i])]);
  note.textContent = JSON.stringify({means});
} catch (error) {
  note.textContent = JSON.stringify({error: String(error)});
}
document.body.append(note);
"""


def find() -> str:
    """Returns the path of Chromium.

    Raises:
        FileNotFoundError: if there is none.
    """
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    raise FileNotFoundError(
        "A page is checked in Chromium, which is not installed (Debian: apt-get install chromium). "
        f"Expected one of {', '.join(NAMES)} on the PATH. Received none."
    )


def check(
    path: "str | pathlib.Path", latents, expected, labels=None, timeout: float = 120
) -> float:
    """Returns max |mean of the page - expected| over all latents, from Chromium in a new process.

    Args:
        path: the page.
        latents: [N, D].
        expected: means of p(x|z), [N, ...].
        labels: classes [N] of a conditional model.
        timeout: seconds that Chromium may take.

    Raises:
        FileNotFoundError: if there is no page or no Chromium.
        ValueError: if the page gives no answer, or one of another shape or with a NaN.
    """
    path, program = pathlib.Path(path), find()
    if not path.is_file():
        raise FileNotFoundError(f"There is no page at {path}. Expected a file. Received none.")
    latents, expected = np.asarray(latents, np.float64), np.asarray(expected, np.float64)
    request = {"latents": latents.tolist()}
    if labels is not None:
        request["labels"] = np.asarray(labels).tolist()
    page = instrumented(path.read_text(encoding="utf-8"), _SCRIPT, request)
    with tempfile.TemporaryDirectory(prefix="tfp_vae-") as folder:
        copy = pathlib.Path(folder) / "page.html"
        copy.write_text(page, encoding="utf-8")
        profile = f"--user-data-dir={pathlib.Path(folder) / 'profile'}"
        command = [program, *FLAGS, NO_NETWORK, profile, "--dump-dom", copy.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise ValueError(
                f"{path} gave no answer. Expected one in {timeout:g} s. Received none."
            ) from error
    found = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout, re.S)
    answer = json.loads(html.unescape(found.group(1))) if found else {"error": "no answer"}
    if "error" in answer:
        raise ValueError(
            f"{path} cannot decode. Expected a page that export wrote, and latents and labels that "
            f"fit it. Received {answer['error'][:200]}."
        )
    means = np.asarray(answer["means"], np.float64)  # what JSON has no number for is null, here NaN
    if means.size != expected.size or not np.isfinite(means).all():
        raise ValueError(
            f"{path} decodes to something else. Expected finite means of shape {expected.shape}. "
            f"Received shape {means.shape}, {np.count_nonzero(~np.isfinite(means))} not finite."
        )
    return float(np.max(np.abs(means.reshape(expected.shape) - expected)))


def instrumented(page: str, script: str, request=None) -> str:
    """Returns a page with a script at its end that its policy allows besides its own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    if page.count("script-src ") != 1 or page.count("</body>") != 1:
        raise ValueError(
            "This page cannot be tried. Expected a page that export wrote. Received one "
            "without its policy or its end."
        )
    page = page.replace("script-src ", f"script-src &#39;sha256-{digest}&#39; ")
    data = json.dumps(request).replace("<", "\\u003c")
    block = f'<script type="application/json" id="request">{data}</script>'
    return page.replace("</body>", f"{block}<script>{script}</script></body>")
