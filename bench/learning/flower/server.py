"""The server of a run of Flower, federated averaging over all clients in each round: server.py CONFIG

Prints one line of JSON: {"accuracy", "seconds", "bytes"}. Seconds are those from the first round to the end of the last;
bytes are those of models as they are serialised, both ways, without what gRPC wraps around them.
"""

import json
import sys
import time

import flwr
from flwr.server.strategy import FedAvg

import task as tasks


def size(parameters):
    return sum(len(tensor) for tensor in parameters.tensors)


class Counting(FedAvg):
    def __init__(self, **options):
        super().__init__(**options)
        self.bytes = 0
        self.started = self.ended = 0.0
        self.last = None

    def configure_fit(self, server_round, parameters, client_manager):
        asked = super().configure_fit(server_round, parameters, client_manager)
        if server_round == 1:
            self.started = time.monotonic()  # from here on all clients are there
        self.bytes += sum(size(instruction.parameters) for _, instruction in asked)
        return asked

    def aggregate_fit(self, server_round, results, failures):
        if failures:
            raise RuntimeError(f"{len(failures)} clients failed in round {server_round}: {failures[0]}")
        self.bytes += sum(size(result.parameters) for _, result in results)
        merged = super().aggregate_fit(server_round, results, failures)
        self.last, self.ended = merged[0], time.monotonic()
        return merged


if __name__ == "__main__":
    tasks.end_with_bench()
    given = tasks.read(sys.argv[1])
    clients = len(given.parts)
    strategy = Counting(
        fraction_fit=1,
        fraction_evaluate=0,
        min_fit_clients=clients,
        min_available_clients=clients,
        initial_parameters=flwr.common.ndarrays_to_parameters(tasks.start(given)),
    )
    flwr.server.start_server(
        server_address=given.address,
        config=flwr.server.ServerConfig(num_rounds=given.rounds),
        strategy=strategy,
    )
    weights = flwr.common.parameters_to_ndarrays(strategy.last)
    print(
        json.dumps(
            {
                "accuracy": tasks.accuracy(weights, given),
                "seconds": strategy.ended - strategy.started,
                "bytes": strategy.bytes,
            }
        )
    )
