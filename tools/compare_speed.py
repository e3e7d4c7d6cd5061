#!/usr/bin/env python3
"""Compares PyTorch's speed with neuroinspect's, alternately in one sitting.

    cargo build --release -p neuroinspect --features tch,demo --benches
    target/release/neuroinspect demo --save-scenes scenes
    tools/compare_speed.py visualization --program target/release/deps/visualization-HASH --device flex,tch
    tools/compare_speed.py features --program .../features-HASH --model tf_efficientnet_lite0 --images FOLDER
    tools/compare_speed.py counterfactuals --program .../counterfactual-HASH --images scenes
    tools/compare_speed.py editing --program .../editing-HASH

needs a Python with torch, torchvision, timm and open_clip_torch, and downloads nothing. What is compared:

* `visualization`: steps a second of CLIP-Illusion, `--model` (a name of timm's, random weights) with CLIP ViT-B/32
  at 224 px, for each of `--batches`;
* `features`: images a second, from files to features;
* `counterfactuals`: counterfactuals a second of the demo's mistakes about stars;
* `editing`: batches of 128 a second of a probability ratio edit on 10,000 samples of 64 neurons and 10 classes.

Sides (`tools/torch_sides.py` has PyTorch's):

* `original`: the work as NeuroInspect's published code does it;
* `careful`: as a careful user of PyTorch does it;
* `compiled` and `graphs`, of visualization: `careful` under `torch.compile`, and with CUDA graphs;
* `ours`: the bench of that name, once for each device.

Each side is a process that prepares, compiles and tunes before anything is timed. Then rounds: each side in turn
runs N steps and two, and the difference is its time, so that preparing and finishing do not count. A ratio is that of
two rates of one round; printed are medians, and least and most. Peak memory is that of the process on the host.

The precision `tf32` is `f32` with tensor cores allowed for matrix products (`TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1`, for
libtorch in either program); `f32` leaves PyTorch's defaults, under which convolutions may use them on CUDA and
products do not.
"""
import argparse, json, os, pathlib, queue, statistics, subprocess, sys, threading, time

SHORT = 2  # steps of the run that is taken off


class Side:
    """A process that answers runs asked for."""

    def __init__(self, name, command, environment, log):
        self.name, self.failed, self.memory, self.waited_for = name, {}, {}, 0
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(json.loads(line))
        self.lines.put(None)

    def answer(self, until):
        answer = self.lines.get(timeout=max(0.01, until - time.monotonic()))
        if answer is None:
            raise RuntimeError(f"ended with status {self.process.wait()}")
        self.waited_for -= 1
        return answer

    def run(self, batch, steps, until):
        # Of a run that took too long to be waited for.
        while self.waited_for:
            self.answer(until)
        self.process.stdin.write(json.dumps({"batch": batch, "steps": steps}) + "\n")
        self.process.stdin.flush()
        self.waited_for += 1
        return self.answer(until)["seconds"]

    def rate(self, batch, steps, until):
        short = self.run(batch, SHORT, until)
        return steps / max(self.run(batch, SHORT + steps, until) - short, 1e-9)

    def prepare(self, batches, seconds, patience):
        """Warms all batches up, as far as there is time, and finds how many steps take long enough to time."""
        self.steps, ready, until = {}, False, time.monotonic() + patience
        for batch in batches:
            try:
                if not ready:
                    self.waited_for += 1
                    self.answer(until)
                    ready = True
                start = time.monotonic()
                self.run(batch, SHORT, until)
                took = time.monotonic() - start
                probe = self.rate(batch, SHORT, until)
                if probe * seconds > 8 * SHORT:
                    probe = self.rate(batch, int(min(probe * seconds, 4000)) // 4, until)
                self.steps[batch] = max(2, min(100_000, int(probe * seconds)))
                self.memory[batch] = self.peak()
                say({"side": self.name, "batch": batch, "first_run_seconds": took, "steps": self.steps[batch]})
            except Exception as error:
                reason = f"{type(error).__name__} {error}".strip()
                self.failed.update({left: reason for left in batches if left not in self.steps})
                say({"side": self.name, "batch": batch, "failed": reason})
                break

    def peak(self):
        """MiB of memory at most so far, where Linux says."""
        try:
            with open(f"/proc/{self.process.pid}/status") as status:
                return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            return None

    def end(self):
        self.process.kill()
        self.process.wait()


def say(record):
    line = json.dumps(record)
    print(line, flush=True)
    if say.out:
        say.out.write(line + "\n")
        say.out.flush()


def sides_of(args, precision, log):
    environment = {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"} if precision == "tf32" else {}
    kind = "f32" if precision == "tf32" else precision
    of_torch = pathlib.Path(__file__).with_name("torch_sides.py")
    for way in args.ways:
        if way == "original" and precision != "f32":
            continue
        command = [args.python, of_torch, args.work, way, args.torch_device, kind, args.model, args.images]
        yield Side(f"{way} {precision}", command, environment, log)
    served = {"visualization": [args.model], "features": [args.model, args.images]}.get(args.work, [])
    for device in args.device:
        if precision == "tf32" and not device.startswith("tch"):
            continue
        ours = {**environment, "NEUROINSPECT_DEVICE": device, "NEUROINSPECT_PRECISION": kind}
        yield Side(f"ours {device} {precision}", [args.program, "--serve", *served], ours, log)


def measure(args, log):
    sides = [side for precision in args.precisions for side in sides_of(args, precision, log)]
    prepare = [threading.Thread(target=side.prepare, args=(args.batches, args.seconds, args.prepare)) for side in sides]
    for thread in prepare:
        thread.start()
        if not args.at_once:
            thread.join()
    for thread in prepare:
        thread.join()
    rates = {(side.name, batch): [] for side in sides for batch in args.batches}
    for _ in range(args.rounds):
        for batch in args.batches:
            for side in sides:
                if batch in side.failed or (side.waited_for and side.lines.empty()):
                    continue  # it failed, or is still at a run that took too long to be waited for
                try:
                    rate = side.rate(batch, side.steps[batch], time.monotonic() + 20 * args.seconds + 60)
                    rates[side.name, batch].append(rate)
                    say({"side": side.name, "batch": batch, "steps_per_second": rate})
                except Exception as error:
                    side.failed[batch] = f"{type(error).__name__} {error}"
                    say({"side": side.name, "batch": batch, "failed": side.failed[batch]})
    for side in sides:
        side.end()
    return sides, rates


def table(args, sides, rates):
    base = args.base
    model = f" with {args.model}" if args.work in ("visualization", "features") else ""
    print(f"\n{args.work}{model}; rounds: {args.rounds}\n")
    print(f"| batch | side | a second | least to most | times `{base}` | least to most | MiB, host |")
    print("| --: | --- | --: | --- | --: | --- | --: |")
    for batch in args.batches:
        for side in sides:
            own, of_base = rates[side.name, batch], rates.get((base, batch), [])
            if not own:
                print(f"| {batch} | {side.name} | {side.failed.get(batch, 'not run')} | | | | |")
                continue
            median = statistics.median(own)
            ratios = [rate / other for rate, other in zip(own, of_base)]
            ratio = f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}" if ratios else " | "
            cells = [batch, side.name, f"{median:.2f}", f"{min(own):.2f} to {max(own):.2f}", ratio]
            cells += [side.memory.get(batch) or ""]
            print("| " + " | ".join(map(str, cells)) + " |")
    sys.stdout.flush()


def main():
    listed = lambda text: [part for part in text.split(",") if part]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", choices=["visualization", "features", "counterfactuals", "editing"])
    parser.add_argument("--program", help="the bench of that name, built with the devices' features")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--device", type=listed, default=["flex"], help="devices of ours, after commas")
    parser.add_argument("--torch-device", default="cpu")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--images", default="", help="a folder of one folder a class; of counterfactuals, the demo's scenes")
    parser.add_argument("--precisions", type=listed, default=["f32"], help="of f32, tf32 and bf16, after commas")
    parser.add_argument("--ways", type=listed, default=["original", "careful"])
    parser.add_argument("--base", default="original f32", help="the side that ratios are to")
    parser.add_argument("--batches", type=lambda text: [int(part) for part in listed(text)], default=[1, 4],
                        help="pictures, or images that features are made of together")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one timing")
    parser.add_argument("--prepare", type=float, default=1200.0, help="seconds at most of a side before rounds begin")
    parser.add_argument("--at-once", action="store_true", help="prepare all sides side by side")
    parser.add_argument("--out", help="a file for each measurement as a line of JSON, appended to")
    parser.add_argument("--log", default=os.devnull, help="what sides say besides, appended to")
    args = parser.parse_args()
    say.out = open(args.out, "a") if args.out else None
    with open(args.log, "a") as log:
        sides, rates = measure(args, log)
    table(args, sides, rates)


if __name__ == "__main__":
    main()
