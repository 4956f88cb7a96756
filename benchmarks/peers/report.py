"""From one file of results: the tables with what belongs to them, and the plot. The README shows what this prints."""

from collections.abc import Iterator
from html import escape
from math import log10
from statistics import median
from typing import Any

_NAMES = {
    "logistic-ndarray": "logistic regression, ndarray",
    "logistic-dataframe": "logistic regression, DataFrame",
    "forest-ndarray": "forest of 100 trees, ndarray",
    "forest-dataframe": "forest of 100 trees, DataFrame",
    "pipeline": "ColumnTransformer pipeline, mixed DataFrame",
    "onnx-mlp": "ONNX perceptron",
    "torch-mlp": "PyTorch perceptron",
}
_LOADS = {"c1": "1", "c16": "16", "c64": "64", "1000x30 c4": "4, 1,000 × 30 each"}
_NOISY = 0.15
_COLORS = {"podium": "#0b7a75", "mlflow": "#c1440e", "fastapi": "#e0a100", "mlserver": "#6c5b9e", "bentoml": "#8a8a8a"}


def markdown(found: dict[str, Any]) -> str:
    """Everything that was measured, and how."""
    parts = [_head(found), _throughput(found), _starts(found), _bare(found), _caveats(found)]
    return "\n\n".join(part for part in parts if part)


def summary(found: dict[str, Any], plot: str = "") -> str:
    """What a README has room for: one line for each model and load, with the head and the caveats.

    Args:
        found: The results.
        plot: Path of the plot as the page that shows it sees it; "" for none.
    """
    cells = {(c["model"], c["load"], c["server"]): c["runs"] for c in found["cells"]}
    peers = [peer for peer in _COLORS if peer != "podium" and any(key[2] == peer for key in cells)]
    times = " | ".join(f"× {peer}" for peer in peers)
    lines = [
        f"| model | connections | podium, requests/s | {times} | p99 ms | p99 ms, mlflow |",
        "|---|" + "---|" * (len(peers) + 4),
    ]
    for model, load in ((model, load) for model in _NAMES for load in _LOADS):
        ours = cells.get((model, load, "podium"))
        if ours:
            theirs = [cells.get((model, load, peer)) for peer in peers]
            times = [_times(ours, runs) for runs in theirs]
            late = cells.get((model, load, "mlflow"))
            last = f"{_middle(late, 'p99_ms'):.1f}" if late else ""
            tail = f"{_middle(ours, 'p99_ms'):.2f} | {last}"
            lines.append(
                f"| {_NAMES[model]} | {_LOADS[load]} | {_middle(ours, 'rps'):,.0f} | {' | '.join(times)} | {tail} |"
            )
    shown = f"![Requests a second at 64 connections]({plot})" if plot else ""
    return "\n\n".join(part for part in (_head(found), "\n".join(lines), shown, _caveats(found)) if part)


def _times(ours: list[dict[str, float]], theirs: list[dict[str, float]] | None) -> str:
    rate = _middle(theirs, "rps") if theirs else 0.0
    return f"{_middle(ours, 'rps') / rate:.1f}" if rate else "–"


def _head(found: dict[str, Any]) -> str:
    machine, settings = found["machine"], found["settings"]
    changed = " with uncommitted changes" if found["has_changes"] else ""
    return (
        f"Measured {found['when'][:10]} at commit {found['commit']}{changed} on {machine['processors']} processors "
        f"({machine['processor']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}; {found['tools']['wrk']}, "
        f"{settings['rounds']} rounds of {settings['seconds']} s, the servers taking turns."
    )


def _throughput(found: dict[str, Any]) -> str:
    lines = [
        "| model | connections | server | requests/s | spread | podium is | p50 ms | p99 ms | server CPU µs/request |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    cells = {(c["model"], c["load"], c["server"]): c["runs"] for c in found["cells"]}
    for model in _NAMES:
        for load in _LOADS:
            ours = cells.get((model, load, "podium"))
            for (of_model, of_load, server), runs in cells.items():
                if (of_model, of_load) == (model, load):
                    lines.append(_row(model, load, server, runs, ours))
    return "\n".join(lines) if len(lines) > 2 else ""


def _row(model: str, load: str, server: str, runs: list[dict[str, float]], ours: list[dict[str, float]] | None) -> str:
    rates = [run["rps"] for run in runs]
    times = f"{_middle(ours, 'rps') / _middle(runs, 'rps'):.1f}×" if ours and server != "podium" and median(rates) else ""
    bad = sum(int(run["bad_status"] + run["broken"]) for run in runs)
    noisy = "*" if max(run["other_load"] for run in runs) > _NOISY else ""
    rate = f"{median(rates):,.0f}{noisy}" + (f" ({bad} failed)" if bad else "")
    return (
        f"| {_NAMES[model]} | {_LOADS[load]} | {server} | {rate} | {min(rates):,.0f}–{max(rates):,.0f} | {times} "
        f"| {_middle(runs, 'p50_ms'):.3f} | {_middle(runs, 'p99_ms'):.2f} | {_middle(runs, 'server_cpu_us'):,.1f} |"
    )


def _starts(found: dict[str, Any]) -> str:
    if not found["starts"]:
        return ""
    lines = [
        "| model | server | first answer after s | spread | PSS MiB | RSS MiB | processes |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in found["starts"]:
        runs = entry["runs"]
        ready = [run["ready_s"] for run in runs]
        lines.append(
            f"| {_NAMES[entry['model']]} | {entry['server']} | {median(ready):.2f} | {min(ready):.2f}–{max(ready):.2f} "
            f"| {_middle(runs, 'pss_mib'):.0f} | {_middle(runs, 'rss_mib'):.0f} | {_middle(runs, 'processes'):.0f} |"
        )
    return "\n".join(lines)


def _bare(found: dict[str, Any]) -> str:
    if not found["bare"]:
        return ""
    lines = ["| the bare model in one process | rows | µs a call |", "|---|---|---|"]
    lines += [f"| {_NAMES[entry['model']]} | {entry['rows']} | {entry['us']:,.1f} |" for entry in found["bare"]]
    return "\n".join(lines)


def _caveats(found: dict[str, Any]) -> str:
    return "\n".join(f"- {sentence}" for sentence in _sentences(found))


def _sentences(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"The load generator runs on the same {found['machine']['processors']} processors as the server, on loopback, with "
        "one thread and kept connections, and takes up to one of them."
    )
    yield "At least 1,000 distinct rows in rotation; every server has the same model folder and the same rows."
    yield "Before the timing, every server's answers were compared with the model's own; a server that differs is left out."
    yield "Each server speaks its own protocol: MLServer the Open Inference Protocol, with a larger body, BentoML its own."
    yield "podium: one gateway and one worker process, metrics, access log and validation on, as it starts without a flag."
    yield (
        "MLflow: one worker, as it starts without a flag. FastAPI: typed body, async, one worker, one onnxruntime thread, "
        "no access log. MLServer: parallel_workers=0, its faster setting here. BentoML: one worker, batching for arrays."
    )
    yield (
        "What podium wins is not its HTTP alone: requests that wait together run in one call, and where it has proven "
        "at load that a cheaper way gives the model's own bits (linear models, forests on plain numbers), it goes that way."
    )
    yield (
        "Requests for podium run together in one call where they wait together; labels are the same, floating point sums "
        "may differ from a lone row's in the last bits."
    )
    yield "Spread is the lowest and highest of the rounds; figures are medians over the rounds."
    if any(run["other_load"] > _NOISY for cell in found["cells"] for run in cell["runs"]):
        yield f"\\* beside other load of more than {_NOISY:g} processors in at least one round."
    yield "Memory is the proportional set size of all processes of a server, started alone, after some load."
    for entry in found["failed"]:
        yield f"Left out: {entry['server']} on {entry['model'] or 'all models'}: {entry['why'].partition(' | ')[0][:160]}"
    if found["left_out"]:
        yield f"Out of time: {len(found['left_out'])} runs, the first of them {found['left_out'][0]}."


def svg(found: dict[str, Any]) -> str:
    """Requests a second at 64 connections, one group of bars for each model, on a logarithmic scale."""
    cells = {(c["model"], c["server"]): _middle(c["runs"], "rps") for c in found["cells"] if c["load"] == "c64"}
    models = [model for model in _NAMES if any(key[0] == model for key in cells)]
    servers = [server for server in _COLORS if any(key[1] == server for key in cells)]
    bar, gap, left, width = 15, 20, 250, 900
    group = bar * len(servers) + gap
    height = 74 + group * len(models) + 20
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="16" y="22" font-size="15">Requests a second at 64 connections (logarithmic; longer is better)</text>',
    ]
    for index, server in enumerate(servers):
        x = 16 + 110 * index
        out.append(f'<rect x="{x}" y="36" width="12" height="12" fill="{_COLORS[server]}"/>')
        out.append(f'<text x="{x + 17}" y="47">{escape(server)}</text>')
    for row, model in enumerate(models):
        top = 66 + group * row
        out.append(f'<text x="{left - 10}" y="{top + group / 2}" text-anchor="end">{escape(_NAMES[model])}</text>')
        for index, server in enumerate(servers):
            rate = cells.get((model, server))
            if rate:
                y = top + bar * index
                long = max(2.0, (width - left - 80) * _place(rate))
                out.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{bar - 2}" fill="{_COLORS[server]}"/>')
                out.append(f'<text x="{left + long + 5:.1f}" y="{y + 11}" font-size="11">{rate:,.0f}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def _place(rate: float) -> float:
    """0 at 50 requests a second, 1 at 100,000."""
    return min(1.0, max(0.0, (log10(rate) - log10(50)) / (log10(100_000) - log10(50))))


def _middle(runs: list[dict[str, float]], figure: str) -> float:
    return median(run[figure] for run in runs)
