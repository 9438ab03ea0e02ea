"""Python with gql. `python python_gql.py http://127.0.0.1:8080 alice`, after `pip install -r requirements.txt`."""

import asyncio
import json
import random
import sys
import urllib.request
import uuid

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
user = sys.argv[2] if len(sys.argv) > 2 else "alice"

TRANSACTIONS = "subscription { transactions { id changedBy newBalance } }"
OPEN_ACCOUNT = "mutation { openAccount { iban token } }"
TRANSFER_MONEY = """mutation ($commandId: ID, $token: String!, $amount: Cents!, $to: String!) {
  transferMoney(commandId: $commandId, token: $token, amount: $amount, from: "cash", to: $to, descr: "recipe") {
    commandId success reason
  }
}"""

# What the servers refuse in passing: the same operation may be sent again.
PASSING = {"UNAVAILABLE", "NOT_OWNER", "COMMAND_PENDING", "LIMIT_EXCEEDED"}


def post(path, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url + path, json.dumps(body or {}).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def log_in():
    return post("/login", {"username": user, "password": f"{user}-password"})["accessToken"]


def connect(options):
    """Returns a client for one connection: the router says where the user belongs now."""
    token = log_in()
    address = post("/route", token=token)["url"]
    transport = WebsocketsTransport(
        url=address,
        init_payload={"accessToken": token},
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        **options,
    )
    return Client(transport=transport)


async def until_done(attempt, **options):
    """Makes attempts, each over a connection of its own, until one ends without an error that passes."""
    delay = 0.05
    while True:
        try:
            async with await asyncio.to_thread(connect, options) as session:
                return await attempt(session)
        except TransportQueryError as error:
            codes = {one.get("extensions", {}).get("code") for one in error.errors or []}
            if not codes <= PASSING:
                raise
        except Exception as error:  # whatever a connection ends with: gql, websockets, urllib and asyncio have their own
            print(f"connecting again: {error!r}", file=sys.stderr)
        await asyncio.sleep(delay * random.uniform(0.5, 1.5))
        delay = min(5, delay * 2)


async def subscribe(handle):
    position = {"from": "earliest"}

    async def attempt(session):
        nonlocal position
        request = GraphQLRequest(TRANSACTIONS, extensions=position)
        async for result in session.subscribe(request, get_execution_result=True):
            handle(result.data["transactions"])
            # After the event has been dealt with. Not from `transport.payloads["ping"]`: that may be ahead of this loop.
            position = {"cursor": result.extensions["cursor"]}

    while True:
        # The gateway pings at least every 10 s. With `keep_alive_timeout`, gql needs all of `close_timeout` to close.
        await until_done(attempt, keep_alive_timeout=25, close_timeout=1)


async def execute(document, variables=None):
    request = GraphQLRequest(document, variable_values=variables)
    return await until_done(lambda session: session.execute(request))


async def main():
    account = (await execute(OPEN_ACCOUNT))["openAccount"]
    listening = asyncio.create_task(subscribe(lambda event: print(json.dumps({"event": event}), flush=True)))
    # The same command twice, as after an answer that was lost: one payment, and the same verdict.
    command = {"commandId": str(uuid.uuid4()), "token": account["token"], "amount": 1, "to": account["iban"]}
    for _ in range(2):
        verdict = (await execute(TRANSFER_MONEY, command))["transferMoney"]
        print(json.dumps({"verdict": verdict}), flush=True)
    await listening


asyncio.run(main())
