#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A service manager that only listens: what programs tell it goes to a file.

  notify_listener.py ADDRESS FILE      ADDRESS: a path, or @NAME in the abstract space

Says "ready" once it listens. Every datagram becomes lines; it ends when its input does.
"""
import select
import socket
import sys


def main():
    address, path = sys.argv[1:]
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind('\0' + address[1:] if address.startswith('@') else address)
    with open(path, 'a', encoding='utf-8') as out:
        print('ready', flush=True)
        while True:
            readable, _, _ = select.select([listener, sys.stdin], [], [])
            if listener in readable:
                out.write(listener.recv(4096).decode() + '\n')
                out.flush()
            elif sys.stdin in readable and not sys.stdin.readline():
                return


main()
