"""A slow line: ports of this machine that forward to hosts and delay every byte by half a round trip each way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write what is read ``delay`` seconds later, without a limit of the bytes on the way."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            writer.write(data)
        writer.close()

    task = asyncio.create_task(write())
    try:
        while data := await reader.read(65536):
            queue.put_nowait((loop.time() + delay, data))
    except ConnectionError:
        pass
    queue.put_nowait((loop.time() + delay, b""))
    await task


@contextmanager
def slow_lines(addresses: Sequence[str], round_trip: float) -> Iterator[dict[str, int]]:
    """Address -> port of 127.0.0.1. ``round_trip`` is in seconds. As on a real line, a new connection takes one round
    trip too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen(address: str) -> tuple[asyncio.Server, int]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # leave() below cancels this: asyncio's streams would print that as an error.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(round_trip)
                far_reader, far_writer = await asyncio.open_connection(address, 22)
                await asyncio.gather(
                    _pass_on(reader, far_writer, round_trip / 2),
                    _pass_on(far_reader, writer, round_trip / 2),
                    return_exceptions=True,
                )

        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
        return server, server.sockets[0].getsockname()[1]

    made = {address: asyncio.run_coroutine_threadsafe(listen(address), loop).result() for address in set(addresses)}
    try:
        yield {address: port for address, (_, port) in made.items()}
    finally:
        for server, _ in made.values():
            loop.call_soon_threadsafe(server.close)

        async def leave() -> None:
            """Disconnect every client that is still connected."""
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(leave(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
