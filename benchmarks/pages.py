"""How long the dashboard takes for many viewers at once, on a run of any size, while other runs are published underneath.

    python benchmarks/pages.py RUNS [--viewers 20] [--rounds 3] [--pause 10]

Starts the dashboard on the folder RUNS as `dunaudit dashboard` does, and opens it once per viewer over the browser's own
protocol. Each viewer goes through all pages, and on the findings page sets a filter, looking at each page for PAUSE seconds or so; meanwhile copies of the run in view
are published beside it and made current. Prints per page the median and the 95th percentile of the seconds from the
question until the page is whole, and how many pages ended in an error.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.serving import free_port, served  # noqa: E402

FILTERED = "findings, filtered"


class Viewer:
    """One browser's connection: what the server said last, and the questions it is asked."""

    def __init__(self, socket_: websockets.ClientConnection) -> None:
        self._socket = socket_
        self.pages: dict[str, str] = {}
        self.choices: dict[str, list[str]] = {}
        self.errors = 0

    async def run(self, page: str, states: list[WidgetState]) -> float:
        """Seconds until the page is whole."""
        self.choices = {}
        asked = BackMsg()
        asked.rerun_script.page_script_hash = page
        asked.rerun_script.widget_states.widgets.extend(states)
        began = time.perf_counter()
        await self._socket.send(asked.SerializeToString())
        async for said in self._said():
            kind = said.WhichOneof("type")
            if kind == "navigation":
                self.pages = {p.url_pathname: p.page_script_hash for p in said.navigation.app_pages}
            elif kind == "delta" and said.delta.HasField("new_element"):
                element = said.delta.new_element
                self.errors += element.WhichOneof("type") == "exception"
                if element.HasField("multiselect"):
                    self.choices[element.multiselect.id] = list(element.multiselect.options)
            elif kind == "script_finished":
                break
        return time.perf_counter() - began

    async def _said(self) -> AsyncIterator[ForwardMsg]:
        while True:
            message = ForwardMsg()
            message.ParseFromString(await asyncio.wait_for(self._socket.recv(), 300))  # type: ignore[arg-type]
            yield message


def chosen(choices: dict[str, list[str]], name: str) -> WidgetState:
    """The state of a filter with its first choice picked."""
    widget = next(id_ for id_ in choices if name in id_)
    state = WidgetState(id=widget)
    state.string_array_value.data.append(choices[widget][0])
    return state


async def look(port: int, number: int, rounds: int, pause: float, taken: dict[str, list[float]]) -> int:
    """Go through all pages; the number of errors seen."""
    chance = random.Random(number)
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with websockets.connect(address, max_size=None, subprotocols=[websockets.Subprotocol("streamlit")], origin=websockets.Origin(f"http://127.0.0.1:{port}")) as connection:
        viewer = Viewer(connection)
        await viewer.run("", [])
        for turn in range(rounds):
            names = sorted(viewer.pages)
            # Each begins elsewhere, as people do.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                await asyncio.sleep(chance.uniform(0, 2 * pause))
                taken[f"{name or 'overview'}{'' if turn else ', first'}"].append(await viewer.run(viewer.pages[name], []))
                if name == "findings":
                    await asyncio.sleep(chance.uniform(0, 2 * pause))
                    taken[FILTERED].append(await viewer.run(viewer.pages[name], [chosen(viewer.choices, "severity")]))
        return viewer.errors


async def publish(folder: Path, times: int, stop: asyncio.Event) -> int:
    """Publish copies of the current run, one after the other, as an audit does: written beside, then renamed."""
    current = folder / f"{(folder / 'current').read_text(encoding='utf-8').strip()}.duckdb"
    done = 0
    while not stop.is_set() and done < times:
        await asyncio.to_thread(shutil.copy, current, folder / "copy.part")
        name = f"published-{done}"
        (folder / "copy.part").rename(folder / f"{name}.duckdb")
        (folder / "current").write_text(f"{name}\n", encoding="utf-8")
        done += 1
        await asyncio.sleep(3)
    return done


async def measure(port: int, folder: Path, viewers: int, rounds: int, pause: float) -> None:
    """All viewers at once, and the lines about it."""
    taken: dict[str, list[float]] = defaultdict(list)
    stop = asyncio.Event()
    publishing = asyncio.create_task(publish(folder, 3, stop))
    errors = sum(await asyncio.gather(*(look(port, number, rounds, pause, taken) for number in range(viewers))))
    stop.set()
    published = await publishing
    for name, seconds in sorted(taken.items()):
        print(f"{name:24} median {statistics.median(seconds):.2f} s, 95 % {statistics.quantiles(seconds, n=20)[-1]:.2f} s, {len(seconds)} times")
    print(f"{viewers} viewers, {published} runs published underneath, errors: {errors}")


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pause", type=float, default=10)
    asked = parser.parse_args()
    before = {p.name for p in asked.runs.iterdir()}
    current = (asked.runs / "current").read_bytes()
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true", "--", str(asked.runs.absolute())]
    try:
        with served(command, port, ROOT, {"PYTHONPATH": str(ROOT)}):
            asyncio.run(measure(port, asked.runs, asked.viewers, asked.rounds, asked.pause))
    finally:
        (asked.runs / "current").write_bytes(current)
        for path in asked.runs.iterdir():
            if path.name not in before:
                path.unlink()


if __name__ == "__main__":
    main()
