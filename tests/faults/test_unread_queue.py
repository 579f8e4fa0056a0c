"""A peer that goes while its messages wait unread: ZeroMQ's heartbeat must not end the process.

A connection whose receive queue is full is not read, and one that then breaks off is kept until
somebody reads. A heartbeat of this side that falls due in between is an assertion of libzmq 4.3.5
(``!_io_error``), which ends the process: the server with it, or the training.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEARTBEAT_S = 5.0
"""What both sides' sockets are set to."""

_SERVER = """
import sys, threading, zmq
from streamviz.counters import Counters
from streamviz.ingest.collector import Collector
from streamviz.ingest.receiver import Receiver
from streamviz.ingest.roster import Roster
from streamviz.store.store import Store

class Busy(Collector):
    def receive(self, *_):
        threading.Event().wait()  # a commit to a disk that hangs, say

store, counters = Store(2**24), Counters()
collector = Busy(store, Roster(), counters, epoch=1)
receiver = Receiver("tcp://127.0.0.1:0", collector, counters, lambda: None, keys=None)
receiver.start()
context = zmq.Context()
peer = context.socket(zmq.DEALER)
peer.set(zmq.SNDHWM, 100)
peer.connect(receiver.endpoint)
went = 0
while peer.poll(1000, zmq.POLLOUT):
    peer.send(bytes(100_000))  # until nothing more fits on the way
    went += 1
assert went > 100, went
context.destroy(0)
print("gone", flush=True)
sys.stdin.read()
"""

_TRAINING = """
import sys, zmq
from streamviz.publisher.transport import ZmqTransport

context = zmq.Context()
server = context.socket(zmq.ROUTER)
server.set(zmq.ROUTER_MANDATORY, 1)
server.set(zmq.RCVHWM, 1)
server.bind("tcp://127.0.0.1:*")
transport = ZmqTransport(server.get_string(zmq.LAST_ENDPOINT), lambda: None)
while not transport.send(b"hello"):
    pass
name, _ = server.recv_multipart()
for _ in range(1000):
    server.send_multipart([name, bytes(60)])
while transport.send(bytes(100_000)):
    pass  # until much is on its way: closing over unread bytes resets the connection at once
context.destroy(1000)
print("gone", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("program", [_SERVER, _TRAINING], ids=["server", "training"])
def test_a_peer_that_went_while_nobody_read_ends_nothing(program: str) -> None:
    """The process is still there after its next two heartbeats, and ends when it is told to."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "gone\n", process.communicate()[1]
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5 * HEARTBEAT_S)
        process.kill()
