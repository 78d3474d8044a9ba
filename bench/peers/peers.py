"""peers.py - the same work on vitcl and its rivals, interleaved: the same weights, pixels, batch and threads.

Each contender lives in a process of its own (contender.py). In every round each gets one turn of about the same length;
whoever is not running is stopped (SIGSTOP), so that no thread that spins disturbs the others. A time is the median of
all passes; a ratio is the median over the rounds of vitcl's median by the rival's in the same round, so that a machine
that slows down for a while slows both. Below 1 vitcl is faster.

Every answer is compared with PyTorch's in float32: the largest deviation as a share of the answer's rms, which shows that
the same work was done, and in the precision that was asked for.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "../../build")
DEFAULT = ["vit_base_patch16_224:1:f32", "vit_base_patch16_224:8:f32", "vit_base_patch16_224:1:bf16",
           "vit_base_patch16_224:8:bf16", "vit_tiny_patch16_224:1:f32", "vit_large_patch16_224:1:f32",
           "dinov2_base_patch14_518:1:f32"]
RUNTIMES = {"f32": ["vitcl", "openvino", "onnxruntime", "torch"], "bf16": ["vitcl", "openvino", "torch"]}
SAME = {"f32": (0, 1e-4), "bf16": (1e-4, 0.2)}  # deviations that can be: none at all is not bf16


class Work:
    """The files of one model and batch size."""

    def __init__(self, folder, name, batch):
        self.name, self.batch = name, batch
        self.model = os.path.join(folder, name)
        stem = os.path.join(folder, f"{name}_{batch}")
        self.onnx, self.pixels, self.answer = stem + ".onnx", stem + "_pixels.npy", stem + "_answer.npy"

    def make(self):
        if not os.path.exists(self.model):
            subprocess.run([os.path.join(BUILD, "bench/make_model"), self.name, self.model + ".part"], check=True)
            os.rename(self.model + ".part", self.model)
        side = int(self.name.rsplit("_", 1)[1])
        pixels = numpy.random.default_rng(1).standard_normal((self.batch, 3, side, side))
        numpy.save(self.pixels, pixels.astype(numpy.float32))
        if not os.path.exists(self.onnx):
            subprocess.run([sys.executable, os.path.join(HERE, "reference.py"), self.model, str(self.batch),
                            self.onnx + ".part"], check=True, stdout=subprocess.DEVNULL)
            os.rename(self.onnx + ".part", self.onnx)

    def command(self, runtime, precision, threads, answer):
        return [sys.executable, os.path.join(HERE, "contender.py"), runtime, precision, str(threads), self.model,
                self.onnx, self.pixels, answer]


class Contender:
    def __init__(self, work, runtime, precision, threads):
        self.runtime, self.path = runtime, f"{work.answer}.{runtime}.{precision}.npy"
        self.process = subprocess.Popen(work.command(runtime, precision, threads, self.path), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            sys.exit(f"peers: {runtime} did not get ready")
        os.kill(self.process.pid, signal.SIGSTOP)
        self.answer, self.rounds = numpy.load(self.path), []

    def run_round(self, seconds):
        os.kill(self.process.pid, signal.SIGCONT)
        print(seconds, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"peers: {self.runtime} has ended")
        os.kill(self.process.pid, signal.SIGSTOP)
        self.rounds.append(json.loads(line))

    def times(self):
        return [t for times in self.rounds for t in times]


def deviation(answer, expected):
    return float(numpy.abs(answer - expected).max() / numpy.sqrt(numpy.mean(expected.astype(float) ** 2)))


def reference_answer(work, threads):
    """PyTorch's in float32, from a process that ends at once."""
    if not os.path.exists(work.answer):
        subprocess.run(work.command("torch", "f32", threads, work.answer), check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
    return numpy.load(work.answer)


def compare(work, precision, options):
    expected = reference_answer(work, options.threads)
    contenders = []
    try:
        for runtime in RUNTIMES[precision]:
            contenders.append(Contender(work, runtime, precision, options.threads))
        for _ in range(options.rounds):
            for contender in contenders:
                contender.run_round(options.seconds)
    finally:
        for contender in contenders:
            contender.process.kill()
            contender.process.wait()
    first, rows = contenders[0], []
    for c in contenders:
        lower, median, upper = (1e3 / work.batch * q for q in statistics.quantiles(c.times(), n=4))
        ratio = statistics.median(statistics.median(a) / statistics.median(b) for a, b in zip(first.rounds, c.rounds))
        off = deviation(c.answer, expected)
        rows.append({"model": work.name, "batch": work.batch, "precision": precision, "runtime": c.runtime,
                     "ms_per_image": median, "lower_quartile": lower, "upper_quartile": upper,
                     "passes": len(c.times()), "vitcl_by_this": ratio, "deviation": off,
                     "same_work": SAME[precision][0] <= off <= SAME[precision][1]})
    return rows


def print_rows(rows):
    first = rows[0]
    print(f"\n{first['model']}, batch {first['batch']}, {first['precision']}")
    print(f"  {'':12} {'ms/image':>9} {'quartiles':>19} {'passes':>6} {'vitcl/this':>10} {'deviation':>10}")
    for r in rows:
        print(f"  {r['runtime']:12} {r['ms_per_image']:9.2f} {r['lower_quartile']:9.2f} {r['upper_quartile']:9.2f} "
              f"{r['passes']:6} {r['vitcl_by_this']:10.3f} {r['deviation']:10.2g}"
              f"{'' if r['same_work'] else '  NOT THE SAME WORK'}", flush=True)


def cold_command(work, runtime, threads, answer):
    if runtime != "vitcl":
        return work.command(runtime, "f32", threads, answer)
    return [os.path.join(BUILD, "vitcl_run"), "-q", "-m", work.model, work.pixels]


def cold_start(work, options):
    """From the start of a process to its end after one answer. The files are in the page cache, and PoCL has compiled the
    kernels before. vitcl is the program vitcl_run; the others are Python with nothing but their runtime and numpy."""
    rows = []
    for runtime in ["vitcl", "onnxruntime", "openvino"]:
        seconds, peak = [], []
        for _ in range(4):
            start = time.perf_counter()
            process = subprocess.Popen(cold_command(work, runtime, options.threads, work.answer + ".cold.npy"),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       env={**os.environ, "POCL_MAX_PTHREAD_COUNT": str(options.threads)})
            _, status, usage = os.wait4(process.pid, 0)
            seconds.append(time.perf_counter() - start)
            peak.append(usage.ru_maxrss / 1024)
            if status:
                sys.exit(f"peers: {runtime} failed")
        rows.append({"model": work.name, "runtime": runtime, "cold_seconds": statistics.median(seconds[1:]),
                     "peak_rss_mb": statistics.median(peak[1:])})
    return rows


def print_cold(rows):
    print(f"\n{rows[0]['model']}: a fresh process, to its first answer and its end; warm files, kernels compiled before")
    print(f"  {'':12} {'seconds':>9} {'peak RSS MB':>12}")
    for r in rows:
        print(f"  {r['runtime']:12} {r['cold_seconds']:9.2f} {r['peak_rss_mb']:12.0f}", flush=True)


def print_machine(threads):
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    from importlib.metadata import version
    print(f"{names[0] if names else 'a CPU'}, {threads} threads; " +
          ", ".join(f"{p} {version(p)}" for p in ["openvino", "onnxruntime", "torch", "transformers"]), flush=True)
    if os.getloadavg()[0] > 0.5:
        print(f"load average {os.getloadavg()[0]:.1f}: something else is running, too; times will be of little use",
              flush=True)


def parse():
    threads = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(prog="run.sh DIR", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help=argparse.SUPPRESS)
    parser.add_argument("items", nargs="*", metavar="NAME:BATCH:PRECISION", default=DEFAULT,
                        help="models as bench/make_model names them, f32 or bf16; default: " + " ".join(DEFAULT))
    parser.add_argument("--threads", type=int, default=threads, help="of each contender (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.2, help="of a turn (%(default)s)")
    parser.add_argument("--cold", metavar="NAME", default="vit_base_patch16_224",
                        help="the model of the cold starts (%(default)s); '' for none")
    parser.add_argument("--json", metavar="FILE", help="write all numbers there, too")
    options = parser.parse_args()
    for i, item in enumerate(options.items):
        parts = item.split(":")
        if len(parts) != 3 or not parts[1].isdigit() or int(parts[1]) < 1 or parts[2] not in RUNTIMES:
            parser.error(f"{item}: expected NAME:BATCH:PRECISION, f32 or bf16")
    if options.rounds < 1 or options.seconds <= 0 or options.threads < 1:
        parser.error("--rounds, --seconds and --threads are positive")
    return options


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("peers: ended"))  # not before the contenders are
    os.makedirs(options.folder, exist_ok=True)
    print_machine(options.threads)
    rows = []
    for item in options.items:
        name, batch, precision = item.split(":")
        work = Work(options.folder, name, int(batch))
        work.make()
        rows += compare(work, precision, options)
        print_rows(rows[-len(RUNTIMES[precision]):])
    if options.cold:
        work = Work(options.folder, options.cold, 1)
        work.make()
        rows += cold_start(work, options)
        print_cold(rows[-3:])
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)
    return 0 if all(row.get("same_work", True) for row in rows) else 1


sys.exit(main())
