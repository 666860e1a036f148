"""The task of a run of Flower: the rows that the bench dealt out, and the bench's model, an MLP with one hidden layer, in NumPy."""

import json
import os
import threading
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Task:
    """What contract.ts calls FlowerConfig."""

    address: str
    rounds: int
    local_steps: int
    batch_size: int
    learning_rate: float
    hidden: int
    classes: int
    features: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    parts: list


def read(path):
    with open(path, encoding="utf8") as file:
        given = json.load(file)
    labels = np.fromfile(given["labels"], dtype="<i4")
    return Task(
        address=given["address"],
        rounds=given["rounds"],
        local_steps=given["localSteps"],
        batch_size=given["batchSize"],
        learning_rate=given["learningRate"],
        hidden=given["hidden"],
        classes=given["classes"],
        features=np.fromfile(given["features"], dtype="<f4").reshape(len(labels), -1),
        labels=labels,
        test=np.array(given["test"]),
        parts=[np.array(part) for part in given["parts"]],
    )


def end_with_bench():
    """Ends this process when the bench does, however that ends: then stdin does."""

    def watch():
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def start(task, seed=1):
    """First weights: Glorot's uniform ones, as TensorFlow draws them, and zeros."""
    draw = np.random.default_rng(seed)

    def glorot(ins, outs):
        most = np.sqrt(6 / (ins + outs))
        return draw.uniform(-most, most, (ins, outs)).astype(np.float32)

    columns = task.features.shape[1]
    return [
        glorot(columns, task.hidden),
        np.zeros(task.hidden, np.float32),
        glorot(task.hidden, task.classes),
        np.zeros(task.classes, np.float32),
    ]


def logits(weights, features):
    w1, b1, w2, b2 = weights
    hidden = np.maximum(features @ w1 + b1, 0)
    return hidden, hidden @ w2 + b2


def step(weights, features, labels, rate):
    """One step of gradient descent on the mean cross-entropy, in place."""
    w1, b1, w2, b2 = weights
    hidden, out = logits(weights, features)
    out -= out.max(axis=1, keepdims=True)
    chances = np.exp(out)
    chances /= chances.sum(axis=1, keepdims=True)
    chances[np.arange(len(labels)), labels] -= 1
    chances /= len(labels)
    back = (chances @ w2.T) * (hidden > 0)
    w2 -= rate * (hidden.T @ chances)
    b2 -= rate * chances.sum(axis=0)
    w1 -= rate * (features.T @ back)
    b1 -= rate * back.sum(axis=0)


def accuracy(weights, task):
    _, out = logits(weights, task.features[task.test])
    return float((out.argmax(axis=1) == task.labels[task.test]).mean())


class Batches:
    """Mini-batches without end: every row once an epoch, in a new order each time; a rest that fills no batch is left."""

    def __init__(self, rows, size, seed):
        self._rows = rows.copy()
        self._size = min(size, len(rows))
        self._draw = np.random.default_rng(seed)
        self._used = len(rows)

    def next(self):
        if self._used + self._size > len(self._rows):
            self._draw.shuffle(self._rows)
            self._used = 0
        self._used += self._size
        return self._rows[self._used - self._size : self._used]
