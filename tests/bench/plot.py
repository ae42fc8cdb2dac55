"""docs/benchmarks/history.svg: the compared figures over versions, each relative to the oldest version that has it."""

from __future__ import annotations

from pathlib import Path

from tests.bench.history import COMPARED, FOLDER, value, versions


def draw(folder: Path = FOLDER) -> Path:
    """Draw the plot anew; needs matplotlib. Raises `HistoryError`."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same figures give the same file, byte for byte.
    mpl.rcParams["svg.hashsalt"] = "roomtone"
    import matplotlib.pyplot as plt

    known = versions(folder)
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, (key, better) in enumerate(COMPARED.items()):
        points = [(name, found) for name, figures in known if (found := value(figures, key)) is not None]
        if not points:
            continue
        first = points[0][1]
        # Upwards is better, whichever way the figure itself goes.
        gains = [now / first if better == "higher" else first / now for _, now in points]
        names = [name for name, _ in points]
        marker = "osD^vP*X"[number % 8]
        axes.plot(names, gains, marker=marker, label=key.replace("_", " "), alpha=0.8)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda number, _: f"{number:g}")
    axes.set_xlabel("version")
    axes.set_ylabel("times better than the first version")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small", frameon=False)
    place = folder / "history.svg"
    figure.savefig(place, metadata={"Date": None})
    plt.close(figure)
    return place
