#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""peer_grpc.py - a round of the published system's size over gRPC: 136,224 bytes there, 264 back.

The message is what 33 nodes and a context of 1,024 take there (tokens, positions, and a row of the
mask for each node), as one field of bytes; nothing is computed from it, and nothing is unpacked. Two
processes, grpc.aio at the server as published, one channel that is kept (published: a new one for
each request). --step is what the server waits before it answers, and tells in the answer.

    pip install grpcio
    tests/bench/peer_grpc.py --step 5 >peer.json
    se-bench round URL --compare peer.json
"""
import argparse
import asyncio
import json
import multiprocessing
import struct
import time

import grpc

METHOD = '/specedge.Peer/Verify'
WARM_UP = 20


def serve(step_s, told):
    async def verify(request, context):
        begun = time.perf_counter_ns()
        if step_s:
            await asyncio.sleep(step_s)
        took = time.perf_counter_ns() - begun
        return struct.pack('<Q', took) + bytes(answer_b - 8)

    async def run():
        handler = grpc.unary_unary_rpc_method_handler(verify)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            'specedge.Peer', {'Verify': handler}),))
        port = server.add_insecure_port('127.0.0.1:0')
        await server.start()
        told.send(port)
        await server.wait_for_termination()

    answer_b = 264
    asyncio.run(run())


def figures(us):
    us = sorted(us)

    def at(share):
        return round(us[min(len(us) - 1, int(share * len(us)))], 1)
    return {'n': len(us), 'p50': at(0.5), 'p99': at(0.99), 'p999': at(0.999), 'max': round(us[-1], 1)}


def main():
    parser = argparse.ArgumentParser(description='a round trip over gRPC, for se-bench --compare')
    parser.add_argument('--bytes', type=int, default=136224, help='of a request (136224)')
    parser.add_argument('--rounds', type=int, default=300, help='that are counted (300)')
    parser.add_argument('--step', type=float, default=5, help='ms that the server waits (5)')
    options = parser.parse_args()
    if options.bytes < 0 or options.rounds < 1 or options.step < 0:
        parser.error('numbers below zero, or no round')
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context('spawn').Process(
        target=serve, args=(options.step * 1e-3, there), daemon=True)
    server.start()
    request = bytes(options.bytes)
    trip_us, step_us, way_us = [], [], []
    with grpc.insecure_channel('127.0.0.1:%d' % here.recv()) as channel:
        verify = channel.unary_unary(METHOD)
        for i in range(WARM_UP + options.rounds):
            begun = time.perf_counter_ns()
            answer = verify(request)
            took = time.perf_counter_ns() - begun
            step, = struct.unpack_from('<Q', answer)
            if i < WARM_UP:
                continue
            trip_us.append(took * 1e-3)
            step_us.append(step * 1e-3)
            way_us.append((took - step) * 1e-3)
    server.terminate()
    print(json.dumps({'verb': 'round', 'url': 'grpc', 'way': 'round trip', 'bytes': options.bytes,
                      'trip_us': figures(trip_us), 'step_us': figures(step_us),
                      'way_us': figures(way_us)}))


if __name__ == '__main__':
    main()
