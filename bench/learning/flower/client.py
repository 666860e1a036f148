"""One client of Flower in a process of its own: client.py CONFIG INDEX"""

import sys

import flwr

import task as tasks


class Client(flwr.client.NumPyClient):
    def __init__(self, task, index):
        self._task = task
        self._batches = tasks.Batches(task.parts[index], task.batch_size, seed=1000 + index)

    def fit(self, parameters, config):
        task = self._task
        weights = [weight.copy() for weight in parameters]
        for _ in range(task.local_steps):
            rows = self._batches.next()
            tasks.step(weights, task.features[rows], task.labels[rows], task.learning_rate)
        return weights, task.local_steps * task.batch_size, {}


if __name__ == "__main__":
    tasks.end_with_bench()
    given = tasks.read(sys.argv[1])
    client = Client(given, int(sys.argv[2]))
    flwr.client.start_client(server_address=given.address, client=client.to_client(), insecure=True)
