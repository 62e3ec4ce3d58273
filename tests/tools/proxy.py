# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on 127.0.0.1 that can be told to cut, reset, stall and delay what it passes on."""
import asyncio
import socket
import struct

from programs import quiet_port


class Proxy:
    """Between edges and a server; its own port stays the same while the server's may change."""

    def __init__(self, port):
        self.target = port
        self.port = None
        self.delay = None # seconds that the next piece waits, or None: none waits
        self.way = 0      # seconds that every piece takes; many are on the way at once
        self.passed = 0   # bytes
        self.cuts = 0     # connections that were there to be cut
        self._flows = asyncio.Event()
        self._flows.set()
        self._pairs = set()
        self._tasks = set()
        self._listener = None

    async def start(self):
        self._listener = await asyncio.start_server(self._accept, '127.0.0.1',
                                                    self.port or quiet_port())
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            back_reader, back_writer = await asyncio.open_connection('127.0.0.1', self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, back_writer)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._pass(reader, back_writer), self._pass(back_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._pairs.discard(pair)
            for each in pair:
                each.transport.abort()

    async def _pass(self, reader, writer):
        pieces = asyncio.Queue(256)
        await asyncio.gather(self._leave(reader, pieces), self._arrive(pieces, writer))

    async def _leave(self, reader, pieces):
        clock = asyncio.get_running_loop().time
        while data := await reader.read(1 << 16):
            await pieces.put((clock() + self.way, data))
        await pieces.put((clock() + self.way, None))

    async def _arrive(self, pieces, writer):
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await pieces.get()
            if data is None:
                # Whoever ends, ends both ways: ZeroMQ does not close one half.
                raise ConnectionResetError
            if due > clock():
                await asyncio.sleep(due - clock())
            await self._flows.wait()
            if self.delay is not None:
                await asyncio.sleep(self.delay())
            writer.write(data)
            self.passed += len(data)
            await writer.drain()

    def cut(self, reset=False):
        """Every connection ends: in the ordinary way, or with a reset."""
        for pair in list(self._pairs):
            self.cuts += 1
            for writer in pair:
                sock = writer.transport.get_extra_info('socket')
                if reset and sock is not None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                writer.transport.abort()

    async def stall(self, seconds):
        """Connections stay, and for so long nothing moves."""
        self._flows.clear()
        await asyncio.sleep(seconds)
        self._flows.set()

    async def away(self, seconds):
        """Every connection ends, and for so long nobody is let in."""
        self._listener.close()
        self.cut()
        await self._listener.wait_closed()
        await asyncio.sleep(seconds)
        await self.start()

    async def close(self):
        self._flows.set()
        self._listener.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
