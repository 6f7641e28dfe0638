"""What scripts/reproduce does: see there."""

import argparse
import os
import pathlib
import sys

from tfp_vae.files import replacing
from tfp_vae.report import plans, purposes, records

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "experiments" / "results"
DOCUMENTS = {
    **{"README.md": "en", "README.zh-CN.md": "zh", "experiments/RESULTS.md": "en"},
    **{"docs/en/codec.md": "en", "docs/zh/codec.md": "zh"},
    **{"docs/en/guide.md": "en", "docs/zh/guide.md": "zh"},
}


def load() -> "tuple[dict, dict]":
    """Returns all plans and the records that there are, by name."""
    known = plans.read_plans(RESULTS / "plans")
    found = {}
    for name, plan in known.items():
        path = RESULTS / f"{name}.json"
        if path.exists():
            found[name] = records.read_record(path)
            records.check_fits(plan, found[name])
    orphans = sorted({path.stem for path in RESULTS.glob("*.json")} - set(known))
    if orphans:
        raise ValueError(f"Records without plans. Expected a plan for each. Received {orphans}.")
    return known, found


def rendered() -> "dict[pathlib.Path, str]":
    """Returns the documents as the records want them."""
    known, found = load()
    wanted = purposes.read_purposes(RESULTS / "purposes.toml")
    shown = {}
    for name, language in DOCUMENTS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        text = records.fill(text, known, found, language, name)
        shown[ROOT / name] = purposes.fill(text, wanted, known, found, language)
    return shown


def render() -> None:
    """Writes the records into the documents."""
    for path, text in rendered().items():
        if text != path.read_text(encoding="utf-8"):
            with replacing(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")


def check() -> None:
    """Raises `ValueError` if a document shows something else than the records."""
    stale = [
        str(path.relative_to(ROOT))
        for path, text in rendered().items()
        if text != path.read_text(encoding="utf-8")
    ]
    if stale:
        raise ValueError(
            "Documents and records differ. Expected what scripts/reproduce --render writes. "
            f"Received something else in {', '.join(stale)}."
        )


def show() -> None:
    """Prints all names with what they take and whether they were measured."""
    known, found = load()
    for name, plan in known.items():
        record = found.get(name)
        state = f"measured at {record['commit'][:7]}" if record else "not measured yet"
        if record and len(record["runs"]) < len(plan.runs):
            state = f"{len(record['runs'])} of {len(plan.runs)} runs"
        print(f"{name:<18}{plan.takes:>8}  {state:<22}  {plan.title['en']}")


def prepared() -> "dict[str, str]":
    """Returns the folders of prepared data that there are."""
    places = {"tfds": "TFP_VAE_TFDS_DIR", "uci": "TFP_VAE_UCI_DIR"}
    folders = {k: os.environ.get(v, ROOT.parent / "shared" / k) for k, v in places.items()}
    return {key: str(folder) for key, folder in folders.items() if pathlib.Path(folder).is_dir()}


def main() -> None:
    """Reads the arguments and does what they say."""
    parser = argparse.ArgumentParser(prog="scripts/reproduce", description="Measures results.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of a plan; --list names them")
    parser.add_argument("--list", action="store_true", help="names, time, what is measured")
    parser.add_argument("--render", action="store_true", help="write records into the documents")
    parser.add_argument("--check", action="store_true", help="whether the documents have them")
    parser.add_argument("--quick", action="store_true", help="few steps, no record: does it run?")
    parser.add_argument(
        "--more", action="store_true", help="keep what the record has, add to it run by run"
    )
    parser.add_argument("--keep", action="store_true", help="keep runs of other commits")
    asked = parser.parse_args()
    if bool(asked.name) + asked.list + asked.render + asked.check != 1:
        parser.error("expected NAME or one of --list, --render and --check.")
    if not asked.name:
        return show() if asked.list else render() if asked.render else check()
    known = plans.read_plans(RESULTS / "plans")
    if asked.name not in known:
        raise ValueError(
            f"Unknown results. Expected one of {', '.join(known)}. Received {asked.name!r}."
        )
    from tfp_vae.studies import reproduction

    path = reproduction.reproduce(
        known[asked.name],
        ROOT,
        RESULTS,
        ROOT / "runs" / "reproduce",
        quick=asked.quick,
        keep=asked.keep,
        more=asked.more,
        data=prepared(),
        say=lambda line: print(line, flush=True),
    )
    print(f"record: {path}")
    if not asked.quick:
        render()


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted; the same command goes on.")
