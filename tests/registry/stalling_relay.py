# SPDX-License-Identifier: BSD-3-Clause
"""A relay in front of a registry that stops in the middle of a large answer until a file is there.

    stalling_relay.py TARGET-PORT BYTES GO-FILE

Prints its own port. Of each connection at most BYTES are passed on to the client while GO-FILE does not exist.
"""
import os
import socket
import sys
import threading
import time

TARGET, LIMIT, GO = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def pass_on(source, sink, limit):
    passed = 0
    try:
        while data := source.recv(65536):
            passed += len(data)
            while limit is not None and passed > limit and not os.path.exists(GO):
                time.sleep(0.02)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(client):
    server = socket.create_connection(("127.0.0.1", TARGET))
    threading.Thread(target=pass_on, args=(client, server, None), daemon=True).start()
    pass_on(server, client, LIMIT)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
