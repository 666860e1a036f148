"""One process of libtorrent in a swarm. It is spoken to as contract.ts says:

    python3 bench/swarm/libtorrent_peer.py CONFIG

Peers are connected to each other before the start, as ours are: until then a receiver wants no file of the torrent, so it
has nothing to ask for. There is no tracker, DHT or local discovery.
"""

import json
import os
import queue
import random
import resource
import sys
import threading
import time

import libtorrent as lt

# What the bench itself needs, in every setting: nobody but the peers that are named, and connections that are kept and
# tried again although there is nothing to fetch yet.
BENCH = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "close_redundant_connections": False,
    "min_reconnect_time": 1,
    "max_failcount": 1000,
    "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
}

SETTINGS = {
    # As it comes.
    "default": {},
    # For few peers on a fast local network that trust each other.
    "tuned": {
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "mixed_mode_algorithm": int(lt.bandwidth_mixed_algo_t.prefer_tcp),
        "out_enc_policy": int(lt.enc_policy.pe_disabled),
        "in_enc_policy": int(lt.enc_policy.pe_disabled),
        "allow_multiple_connections_per_ip": True,
        # Few at a time have a piece sooner, to pass it on; short queues keep pieces from being asked of the slow.
        "unchoke_slots_limit": 4,
        "request_queue_time": 1,
    },
}
# The same, and the seed gives each piece to one peer until others have it.
SETTINGS["super"] = SETTINGS["tuned"]

READ_BYTES = 1 << 20


def tell(event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def monotonic_ms():
    return time.monotonic() * 1000


def make_torrent(path, file):
    """Writes random bytes to `path` and returns a torrent of them."""
    rng = random.Random(file["seed"])
    with open(path, "wb") as out:
        left = file["bytes"]
        while left > 0:
            left -= out.write(rng.randbytes(min(READ_BYTES, left)))
    files = lt.file_storage()
    lt.add_files(files, path)
    torrent = lt.create_torrent(files, file["chunkBytes"], lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, os.path.dirname(path))
    return lt.bencode(torrent.generate())


class Peer:
    def __init__(self, config):
        self.config = config
        self.setting = config["engine"]["setting"]
        self.is_seed = config["role"] == "seed"
        self.session = lt.session(
            {
                "listen_interfaces": f"{config['addresses'][config['index']]}:{config['port']}",
                **BENCH,
                **SETTINGS[self.setting],
            }
        )
        if self.is_seed:
            self.version = os.path.join(config["folder"], "file.torrent")
            with open(self.version, "wb") as out:
                out.write(make_torrent(os.path.join(config["folder"], "weights.bin"), config["file"]))
        else:
            self.version = config["version"]
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(self.version)
        params.save_path = config["folder"]
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        if self.is_seed:
            params.flags |= lt.torrent_flags.seed_mode
            if self.setting == "super":
                params.flags |= lt.torrent_flags.super_seeding
        else:
            params.file_priorities = [0]
        self.torrent = self.session.add_torrent(params)
        self.started = None

    def connected(self):
        handshaking = lt.peer_info.handshake | lt.peer_info.connecting
        return {peer.ip[0] for peer in self.torrent.get_peer_info() if not peer.flags & handshaking}

    def meet(self):
        """Connects to everyone with a smaller index, and waits for the others."""
        others = [a for a in self.config["addresses"] if a != self.config["addresses"][self.config["index"]]]
        mine = self.config["addresses"][: self.config["index"]]
        tried = 0
        while len(self.connected()) < len(others):
            if time.monotonic() - tried > 2:
                tried = time.monotonic()
                for address in set(mine) - self.connected():
                    self.torrent.connect_peer((address, self.config["port"]))
            time.sleep(0.05)
        tell({"event": "ready"})

    def go(self, at):
        time.sleep(max(0, at - monotonic_ms()) / 1000)
        if self.is_seed:
            return
        self.session.pop_alerts()
        self.started = at
        self.torrent.prioritize_files([4])

    def look(self):
        for alert in self.session.pop_alerts():
            if isinstance(alert, (lt.file_error_alert, lt.torrent_error_alert)):
                tell({"event": "failed", "why": alert.message()})
            elif isinstance(alert, lt.torrent_finished_alert) and self.started is not None:
                tell({"event": "done", "ms": monotonic_ms() - self.started})
                self.started = None

    def stats(self):
        status = self.torrent.status()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        tell(
            {
                "event": "stats",
                "bytesIn": status.total_payload_download,
                "bytesOut": status.total_payload_upload,
                "wastedBytes": status.total_redundant_bytes + status.total_failed_bytes,
                "cpuMs": (usage.ru_utime + usage.ru_stime) * 1000,
                "maxRssMb": usage.ru_maxrss * 1024 / 1e6,
                "loopMs": None,
            }
        )


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    commands = queue.Queue()

    def read():
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "leave":
                break
            commands.put(command)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    peer = Peer(config)
    tell({"event": "up", **({"version": peer.version} if peer.is_seed else {})})
    while True:
        try:
            command = commands.get_nowait()
        except queue.Empty:
            # Returns at once when something has happened, such as the end of the download.
            peer.session.wait_for_alert(20)
            peer.look()
            continue
        if command["do"] == "meet":
            peer.meet()
        elif command["do"] == "go":
            peer.go(command["at"])
        elif command["do"] == "stats":
            peer.stats()


main()
