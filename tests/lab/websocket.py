"""A WebSocket server that repeats what it hears; nginx stands before it."""

import asyncio
import sys

import websockets


async def repeat(socket):
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(repeat, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Future()


asyncio.run(main())
