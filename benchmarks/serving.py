"""Serving, measured with the load generator on the same two cores.

`python benchmarks/serving.py RUN TITLES.csv`: single-product requests at a fixed rate (arrivals do not wait
for answers; latency counts from when a request was due), suggestions one after the other, and a mixed load
with malformed requests, disconnects and model switches, after which every acknowledged choice has to be in
the store, every answer has to belong to its question, and memory has to be what it was. `--minutes 10` is
the run for the record; `--only` picks parts.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import aisle
from aisle.server.store import ServerStore
from aisle.server.store import feedback as feedback_store
from load import Answer, Caller, arrivals
from results import machine, write_section


class Served:
    """`aisle serve` as its own process."""

    def __init__(self, run: Path, folder: Path, gold: Path) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.store = folder / "store.db"
        bundle = run / "model" if (run / "model").is_dir() else run
        command = [sys.executable, "-m", "aisle", "serve", f"one={run}", f"two={bundle}"]
        command += ["--port", str(self.port), "--store", str(self.store), "--golden-set", str(gold)]
        command += ["--rate", "100000", "--shadow", "two"]
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(command, stderr=self.log)
        self.caller = Caller("127.0.0.1", self.port)

    async def ready(self) -> None:
        """Wait for it."""
        while (await self.caller.get("/ready")).status != 200:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended: {Path(self.log.name).read_text()[-2000:]}")
            await asyncio.sleep(0.2)

    def memory(self) -> float:
        """MiB of its own (not of files that the system may drop from memory and read again)."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> float:
        """Stop it as an orchestrator would; seconds it took."""
        self.caller.close()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        assert code == 0, f"exit code {code}"
        return time.monotonic() - began


def quantiles(seconds: list[float]) -> str:
    """Median, p95, p99 and the worst, in milliseconds."""
    found = np.quantile(np.array(seconds) * 1000, [0.5, 0.95, 0.99, 1])
    return " | ".join(f"{x:.1f}" for x in found)


async def steady(served: Served, products: list[dict], rate: float, seconds: float) -> str:
    """Single-product requests at a fixed rate."""
    caller = served.caller
    for i in range(50):
        await caller.post("/v1/classify", {"products": [products[i % len(products)]]})
    times = arrivals(rate, seconds)
    tasks, began, cpu = [], time.perf_counter() + 0.1, served.cpu()
    for i, at in enumerate(times):
        await asyncio.sleep(max(0.0, began + at - time.perf_counter()))
        body = {"products": [products[i % len(products)]]}
        tasks.append(asyncio.create_task(caller.post("/v1/classify", body, began + at)))
    answers: list[Answer] = await asyncio.gather(*tasks)
    bad = Counter(answer.status for answer in answers if answer.status != 200)
    assert not bad, bad
    wrong = sum(
        json.loads(answer.body)["results"][0]["id"] != products[i % len(products)]["id"]
        for i, answer in enumerate(answers)
    )
    assert not wrong
    busy = (served.cpu() - cpu) / seconds
    times = quantiles([answer.seconds for answer in answers])
    print(f"steady {rate}/s: {times}, {busy:.2f} cores")
    return f"| classify, {rate:g} requests/s, {seconds:g} s | {times} | {busy:.2f} |"


async def typing(served: Served, products: list[dict], titles: int) -> str:
    """Suggestions for every stroke of some titles, one after the other."""
    seconds, cpu, began = [], served.cpu(), time.perf_counter()
    for product in products[:titles]:
        title = product["title"][:40]
        for stop in range(3, len(title) + 1):
            answer = await served.caller.post("/v1/suggest", {"title": title[:stop]})
            assert answer.status == 200, answer.body
            seconds.append(answer.seconds)
    busy = (served.cpu() - cpu) / (time.perf_counter() - began)
    print(f"typing, {len(seconds)} strokes: {quantiles(seconds)}")
    what = f"suggest, {len(seconds):,} strokes of {titles} titles, one caller"
    return f"| {what} | {quantiles(seconds)} | {busy:.2f} |"


async def patiently(caller: Caller, path: str, body: object) -> Answer:
    """Ask until there is time for it."""
    while (answer := await caller.post(path, body)).status == 503:
        await asyncio.sleep(0.5)
    assert answer.status == 200, answer.body
    return answer


MALFORMED = (
    *(b"", b"{", b"[]", b'{"products": 1}', b'{"products": [1, null, {"title": []}]}'),
    *(b"\xff" * 100, b"[" * 50_000, b'{"products": [{"title": "\\ud800"}]}'),
    b'{"products": [{"images": [{"base64": "AAAA"}]}]}',
)


class Mixed:
    """Callers of every kind at once, and what became of what they were told."""

    def __init__(self, served: Served, products: list[dict], seed: int = 1) -> None:
        self.served, self.products, self.draw = served, products, random.Random(seed)
        self.acknowledged: set[str] = set()
        self.tally: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.latency: list[float] = []
        self.sent = 0

    async def one(self) -> None:
        """Whatever comes next."""
        kind = self.draw.random()
        if kind < 0.55:
            await self.classify(1)
        elif kind < 0.60:
            await self.classify(self.draw.randint(2, 60))
        elif kind < 0.80:
            await self.suggest()
        elif kind < 0.90:
            await self.feedback()
        elif kind < 0.95:
            await self.malformed()
        else:
            body = json.dumps({"products": self.pick(self.draw.randint(1, 50))}).encode()
            await self.served.caller.hang_up("/v1/classify", body, self.draw.choice([0.0, 0.002, 0.02]))
            self.tally["disconnected"] += 1

    def pick(self, count: int) -> list[dict]:
        self.sent += 1
        return [
            {**p, "id": f"{self.sent}-{i}-{p['id']}"}
            for i, p in enumerate(self.draw.choices(self.products, k=count))
        ]

    async def classify(self, count: int) -> None:
        products = self.pick(count)
        answer = await self.served.caller.post("/v1/classify", {"products": products})
        self.tally[f"classify {answer.status}"] += 1
        if answer.status != 200:
            return
        if count == 1:
            self.latency.append(answer.seconds)
        for product, said in zip(products, json.loads(answer.body)["results"], strict=True):
            place = said["prediction"]["best_id"]
            # Both models have the same weights: whoever answers, a product has one right answer.
            if said["id"] != product["id"] or place != self.expected[product["id"].split("-", 2)[2]]:
                self.wrong.append(product["id"])

    async def suggest(self) -> None:
        title = self.draw.choice(self.products)["title"]
        answer = await self.served.caller.post("/v1/suggest", {"title": title[: self.draw.randint(1, 30)]})
        self.tally[f"suggest {answer.status}"] += 1

    async def feedback(self) -> None:
        product = self.pick(1)[0]
        chosen = self.expected[product["id"].split("-", 2)[2]]
        body = {"product": product, "chosen": chosen}
        answer = await self.served.caller.post("/v1/feedback", body, None, Idempotency_Key=product["id"])
        self.tally[f"feedback {answer.status}"] += 1
        if answer.status == 200:
            self.acknowledged.add(product["id"])

    async def malformed(self) -> None:
        answer = await self.served.caller.post("/v1/classify", self.draw.choice(MALFORMED))
        self.tally[f"malformed {answer.status}"] += 1

    async def switches(self, every: float) -> None:
        """Models change places all the while."""
        while True:
            await asyncio.sleep(every)
            for path in ("/v1/models/two/promote", "/v1/models/rollback"):
                answer = await self.served.caller.post(path, b"")
                self.tally[f"switch {answer.status}"] += 1

    async def run(self, rate: float, minutes: float) -> str:
        caller = self.served.caller
        self.expected: dict[str, str] = {}
        for start in range(0, len(self.products), 500):
            some = self.products[start : start + 500]
            answer = await patiently(caller, "/v1/classify?models=one,two", {"products": some})
            for product, said in zip(some, json.loads(answer.body)["results"], strict=True):
                self.expected[product["id"]] = said["prediction"]["best_id"]
        # Words met for the first time are remembered, a few hundred bytes each: both models meet them now.
        for path in ("/v1/models/two/promote", "/v1/models/rollback"):
            await patiently(caller, path, b"")
        await caller.post("/v1/shadow", {"model": "two"})
        switching = asyncio.create_task(self.switches(5.0))
        began, tasks, memory = time.perf_counter(), set(), []
        settled = None
        for at in arrivals(rate, minutes * 60, seed=2):
            await asyncio.sleep(max(0.0, began + at - time.perf_counter()))
            task = asyncio.create_task(self.one())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if settled is None and at > min(60, minutes * 20):
                settled = self.served.memory()
            if len(memory) < at // 5:
                memory.append(self.served.memory())
        await asyncio.gather(*tasks)
        switching.cancel()
        grown = memory[-1] / (settled or memory[0]) - 1
        took = self.served.end()
        store = ServerStore(str(self.served.store))
        rows = [row["id"] for row in feedback_store.training_rows(store)]
        total = feedback_store.count(store)
        store.close()
        lost = self.acknowledged - set(rows)
        servers = [name for name in self.tally if name.split()[-1] in ("0", "500")]
        print(
            dict(self.tally),
            f"lost {len(lost)}, wrong {len(self.wrong)}, memory {settled:.0f} -> {memory[-1]:.0f}",
        )
        assert not lost, sorted(lost)[:5]
        assert not self.wrong, self.wrong[:5]
        assert not servers, servers
        assert total == len(self.acknowledged), (total, len(self.acknowledged))
        tally = ", ".join(f"{n:,} × {name}" for name, n in sorted(self.tally.items()))
        return (
            f"{minutes:g} minutes at {rate:g} requests/s, two models and a shadow: {tally}.\n\n"
            f"- Acknowledged feedback {len(self.acknowledged):,}, lost {len(lost)}, stored twice "
            f"{total - len(set(rows))}.\n"
            f"- Predictions of another product, or differ from the model's: {len(self.wrong)}.\n"
            f"- Latency of single products (median, p95, p99, worst): {quantiles(self.latency)} ms.\n"
            f"- Memory {settled:.0f} MiB after the first minute, {memory[-1]:.0f} MiB at the end "
            f"({grown:+.1%}).\n"
            f"- SIGTERM to exit {took:.1f} s, exit code 0."
        )


async def main() -> None:
    """Run the chosen measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("titles", type=Path, help="a catalog to take products from")
    parser.add_argument("--rate", type=float, default=150)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--mixed-rate", type=float, default=60)
    parser.add_argument("--only", choices=["steady", "mixed"])
    parser.add_argument("--note", default="", help="what else a reader should know of the machine")
    parser.add_argument("--dry", action="store_true", help="write nothing into RESULTS.md")
    given = parser.parse_args()
    catalog = aisle.read(given.titles)
    names = ("title", "description")
    products = [
        {"id": f"p{i}", **{name: text for name in names if (text := catalog[i].fields.get(name))}}
        for i in range(min(len(catalog), 1000))
    ]
    products = [product for product in products if product.get("title")]
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        served = Served(given.run, Path(folder), given.titles)
        try:
            await served.ready()
            if given.only != "mixed":
                await served.caller.post("/v1/shadow", {"model": None})
                rows = [await steady(served, products, given.rate, given.seconds)]
                rows.append(await typing(served, products, 40))
                head = "| what | median | p95 | p99 | worst ms | cores of the server |"
                lines += [
                    "\n".join(
                        [head.replace("| worst ms", "| worst (ms)"), "|---|---|---|---|---|---|", *rows]
                    )
                ]
                await served.caller.post("/v1/shadow", {"model": "two"})
            if given.only != "steady":
                lines.append(await Mixed(served, products).run(given.mixed_rate, given.minutes))
            else:
                served.end()
        finally:
            if served.process.poll() is None:
                served.process.kill()
            served.log.close()
    model = aisle.load(given.run)
    about = (
        f"`benchmarks/serving.py`; recipe `{model.results.get('recipe')}`, text only, a tree of "
        f"{len(model.taxonomy):,} categories. {machine()}; the load generator runs on the same cores, next "
        f"to other processes (load average {os.getloadavg()[0]:.1f}). {given.note}"
    )
    if not given.dry:
        mixed = given.only == "mixed"
        title = "## Serving under mixed load" if mixed else "## Serving"
        write_section("serving-mixed" if mixed else "serving", "\n\n".join([title, about.strip(), *lines]))


if __name__ == "__main__":
    asyncio.run(main())
