#!/usr/bin/env python3
"""Prints the training throughput of PyTorch on the architectures of `cargo xtask bench training`.

The networks, the batch, the loss and the optimizer are those of our benchmarks: momentum 0.9, and
weight decay on kernels only. Run where torch is installed:

    python3 trainer/benches/pytorch.py [--threads N] [--steps N] [ARCHITECTURE ...]
"""

import argparse
import time

import torch
from torch import nn


def lenet_300_100():
    return (1, 28, 28), 10, nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 300), nn.BatchNorm1d(300), nn.ReLU(),
        nn.Linear(300, 100), nn.BatchNorm1d(100), nn.ReLU(),
        nn.Linear(100, 10), nn.BatchNorm1d(10),
    )


def lenet_5():
    return (1, 28, 28), 10, nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 120), nn.BatchNorm1d(120), nn.ReLU(),
        nn.Linear(120, 84), nn.BatchNorm1d(84), nn.ReLU(),
        nn.Linear(84, 10), nn.BatchNorm1d(10),
    )


def vgg_16():
    layers, before = [], 3
    for count, channels in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)]:
        for _ in range(count):
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
            before = channels
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(512, 10), nn.BatchNorm1d(10)]
    return (3, 32, 32), 10, nn.Sequential(*layers)


class Block(nn.Module):
    """A basic block with a batch norm on its shortcut, even if that is the identity."""

    def __init__(self, before, channels, stride):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels),
        )
        shortcut = []
        if stride != 1 or before != channels:
            shortcut.append(nn.Conv2d(before, channels, 1, stride, bias=False))
        self.shortcut = nn.Sequential(*shortcut, nn.BatchNorm2d(channels))

    def forward(self, x):
        return torch.relu(self.main(x) + self.shortcut(x))


def resnet_18():
    layers, before = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for channels, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers.append(Block(before, channels, stride))
        before = channels
    layers += [nn.AvgPool2d(8), nn.Flatten(), nn.Linear(512, 200, bias=False), nn.BatchNorm1d(200)]
    return (3, 64, 64), 200, nn.Sequential(*layers)


# Architecture: network, images per batch, steps per run.
NETWORKS = {
    "lenet-300-100": (lenet_300_100, 100, 160),
    "lenet-5-28": (lenet_5, 100, 80),
    "vgg-16": (vgg_16, 32, 3),
    "resnet-18": (resnet_18, 32, 1),
}


def throughput(name, runs, steps):
    build, batch, default = NETWORKS[name]
    steps = steps or default
    shape, classes, network = build()
    kernels = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() == 1]
    groups = [{"params": kernels, "weight_decay": 1e-3}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, *shape, generator=generator)
    labels = torch.arange(batch) % classes

    def run():
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(network(images), labels)
            loss.item()
            loss.backward()
            optimizer.step()
        count = steps * batch
        return count / (time.perf_counter() - start), count / (time.process_time() - cpu)

    run()
    results = [run() for _ in range(runs)]
    wall, cpu = (sorted(values)[runs // 2] for values in zip(*results))
    print(f"{name}, batch {batch}: {wall:.1f} samples/s, {cpu:.1f} per CPU second "
          f"(median of {runs} runs)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architectures", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps per run")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"PyTorch {torch.__version__}, {arguments.threads} thread(s)")
    for name in arguments.architectures:
        throughput(name, arguments.runs, arguments.steps)


if __name__ == "__main__":
    main()
