import type { Watch } from './watch.ts';

/** What a client may rely on: cursors, what waits for it, who is served when, moves. */
export const clientWatches: readonly Watch[] = [
  {
    guarantee: 'G1',
    name: 'the client library goes on behind its first cursor, and not the newest',
    file: 'client/src/subscription.ts',
    find: 'cursor = extensions.cursor ?? cursor;',
    replace: 'cursor ??= extensions.cursor;',
    caughtBy: {
      file: 'test/client/subscription.test.ts',
      test: 'whatever is lost, moved or slow: every event once, in order, over one operation at a time',
    },
  },
  {
    guarantee: 'G1',
    name: 'the client library takes what an operation sends that it has left',
    file: 'client/src/subscription.ts',
    find: 'next: result => isHere && take(result),',
    replace: 'next: take,',
    caughtBy: {
      file: 'test/client/subscription.test.ts',
      test: 'whatever is lost, moved or slow: every event once, in order, over one operation at a time',
    },
  },
  {
    guarantee: 'G1',
    name: 'the client library keeps a position before its event has been dealt with',
    file: 'client/src/subscription.ts',
    find: '    given = item;\n',
    replace: '    given = item;\n    settle(item.settled);\n',
    caughtBy: {
      file: 'test/client/subscription.test.ts',
      test: 'the position moves when the consumer asks for more, and with pings when nothing is left to deal with',
    },
  },
  {
    guarantee: 'G1',
    name: 'the client library lets any number of events wait for a slow consumer',
    file: 'client/src/subscription.ts',
    find: 'if (inbox.size() >= waiting.most && cursor) feed.pause();',
    replace: '',
    caughtBy: {
      file: 'test/client/subscription.test.ts',
      test: 'a slow consumer has a bounded number of events waiting',
    },
  },
  {
    guarantee: 'G6',
    name: 'the client library goes on while the application decides about a gap',
    file: 'client/src/subscription.ts',
    find: 'isHeld = true;',
    replace: '',
    caughtBy: {
      file: 'test/client/subscription.test.ts',
      test: 'an expired position is asked about once, and the first event behind the gap says so',
    },
  },
  {
    guarantee: 'G6',
    name: 'a position of another topic is believed',
    file: 'lib/replay/topic-mark.ts',
    find: 'return mark === undefined || topicId === undefined || topicId.startsWith(mark);',
    replace: 'return true;',
    caughtBy: {
      file: 'test/lib/replay/expired.test.ts',
      test: 'a position of a topic that was made anew is expired, though the new one has its offset and nobody knows its time',
    },
  },
  {
    guarantee: 'G6',
    name: 'a timestamp is whatever the producer wrote',
    file: 'lib/kafka/wire/record-batch.ts',
    find: 'return isExact && timestampMs >= 0 && timestampMs <= maxTimestampMs ? timestampMs : -1;',
    replace: 'return timestampMs;',
    caughtBy: {
      file: 'test/lib/replay/timestamps.test.ts',
      test: 'whatever its timestamp, the cursor behind a record is one to go on from, and so is a ping after it',
    },
  },
  {
    guarantee: 'G7',
    name: 'rows and positions are read in two snapshots',
    file: 'lib/views/open-views.ts',
    find: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    replace: 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY',
    caughtBy: {
      file: 'test/lib/views/snapshot.test.ts',
      test: 'rows and positions of a snapshot belong together, whatever is projected meanwhile',
    },
  },
  {
    guarantee: 'G13',
    name: 'nobody looks at what waits on the way to a socket',
    file: 'services/gateway/outlet.ts',
    find: 'if (writable.destroyed || waitingBytes() <= bufferBytes) return undefined;',
    replace: 'if (writable.destroyed || waitingBytes() >= 0) return undefined;',
    caughtBy: {
      file: 'test/services/gateway/outlet.test.ts',
      test: 'there is no room while the client does not take what waits, and room again when it has',
    },
  },
  {
    guarantee: 'G13',
    name: 'short writes count by their bytes alone',
    file: 'services/gateway/outlet.ts',
    find: 'bytes + (bytes / averageBytes) * writeOverheadBytes',
    replace: 'bytes',
    caughtBy: {
      file: 'test/services/gateway/outlet.test.ts',
      test: 'what short writes cost besides their bytes counts in the budget',
    },
  },
  {
    guarantee: 'G13',
    name: 'records wait for a stream without a limit',
    file: 'lib/replay/stream-queue.ts',
    find: 'return this.#queuedBytes === 0 || this.#queuedBytes + this.#keptBytes + bytes <= this.#budgetBytes;',
    replace: 'return true;',
    caughtBy: {
      file: 'test/lib/replay/streams.test.ts',
      test: 'what a slow taker has in hand counts in its budget, as what waits for it',
    },
  },
  {
    guarantee: 'G13',
    name: 'what a taker has in hand is not counted',
    file: 'lib/replay/stream-queue.ts',
    find: 'return this.#takenBytes + this.#readyBytes;',
    replace: 'return this.#readyBytes;',
    caughtBy: {
      file: 'test/lib/replay/streams.test.ts',
      test: 'what a slow taker has in hand counts in its budget, as what waits for it',
    },
  },
  {
    guarantee: 'G13',
    name: 'a record that waits keeps its whole batch',
    file: 'lib/replay/stream-queue.ts',
    find: 'if (this.#queuedBytes > 0) leaveBatch(record);',
    replace: '',
    caughtBy: {
      file: 'test/lib/replay/streams.test.ts',
      test: 'records that wait keep their own bytes, not those of the batches that they came with',
    },
  },
  {
    guarantee: 'G14',
    name: 'a line of newcomers without an end',
    file: 'lib/auth/work-queue.ts',
    find: 'if (waiting.size >= maxWaiting)',
    replace: 'if (waiting.size < 0)',
    caughtBy: {
      file: 'test/services/router/admission.test.ts',
      test: 'are under way up to a number, wait up to a number, and are refused beyond',
    },
  },
  {
    guarantee: 'G14',
    name: 'an owner who keeps his turn while he has more waiting',
    file: 'lib/replay/fair-queue.ts',
    find: 'owners.delete(owner);',
    replace: 'if (items.size === 1) owners.delete(owner);',
    caughtBy: {
      file: 'test/lib/replay/fair-queue.test.ts',
      test: 'an owner with much waiting is served once before the others, not all of it',
    },
  },
  {
    guarantee: 'G14',
    name: 'one connection is taken up for each turn of the event loop',
    file: 'lib/ops/listen.ts',
    find: 'const sharing = 8;',
    replace: 'const sharing = 1;',
    caughtBy: {
      file: 'test/lib/ops/listen.test.ts',
      test: 'while turns of the event loop take long, more than one connection is taken up in each',
    },
  },
  {
    guarantee: 'G18',
    name: 'a fragment that is spread again is expanded again',
    file: 'services/gateway/graphql/collect.ts',
    find: 'if (visited.has(name)) return undefined;',
    replace: '',
    caughtBy: {
      file: 'test/services/gateway/graphql/selection.test.ts',
      test: 'each field of a document is collected once, however often its fragment is spread',
    },
  },
  {
    guarantee: 'G18',
    name: 'a fragment counts once, however often it is spread',
    file: 'services/gateway/graphql/limits.ts',
    find: 'fields += inner.fields + (isField ? 1 : 0);',
    replace: 'fields += isField ? 1 + inner.fields : 0;',
    caughtBy: {
      file: 'test/services/gateway/graphql/documents.test.ts',
      test: 'fields count as often as their fragment is spread, in fragments that no operation spreads too',
    },
  },
  {
    guarantee: 'G18',
    name: 'a result is built whole before anybody looks at its size',
    file: 'services/gateway/graphql/run.ts',
    find: 'if (run.left < 0) throw new TooLarge(run.maxBytes);',
    replace: '',
    caughtBy: {
      file: 'test/services/gateway/graphql/execution.test.ts',
      test: 'a result over its limit is refused while it is built, not after it',
    },
  },
  {
    guarantee: 'G18',
    name: 'the rows of a query are read whatever their size',
    file: 'lib/views/open-views.ts',
    find: 'if (left >= 0) return read(text);',
    replace: 'if (left >= -1e9) return read(text);',
    caughtBy: {
      file: 'test/lib/views/pages.test.ts',
      test: 'rows are read up to a number of bytes, then the query is refused and the connection goes on',
    },
  },
  {
    guarantee: 'G19',
    name: 'a refusal by a limit is not counted',
    file: 'lib/ops/limit-refusals.ts',
    find: 'if (limit) count(limit, transport);',
    replace: '',
    caughtBy: {
      file: 'test/lib/ops/limit-refusals.test.ts',
      test: 'errors count by the limit that they name, and no others',
    },
  },
  {
    guarantee: 'G14',
    name: 'a replay that waits for Kafka keeps its place',
    file: 'lib/replay/scan.ts',
    find: 'underWay -= 1;\n      leave();',
    replace: 'underWay -= 1;\n      if (scan.clients.size === 0) leave();',
    caughtBy: {
      file: 'test/lib/replay/scan.test.ts',
      test: 'a replay whose partition does not answer gives its place to another one, and goes on when it answers',
    },
  },
  {
    guarantee: 'G15',
    name: 'an append says what is in memory when its turn has come',
    file: 'lib/replay/buffer/writer.ts',
    find: `const call = this.#prepare(task);
          const leave = await this.#parts.places.take(\`\${this.#at.topic}/\${this.#at.partition}\`);
          try {
            if (this.#closing.signal.aborted) return { outcome: { of: 'failure' }, more };`,
    replace: `const leave = await this.#parts.places.take(\`\${this.#at.topic}/\${this.#at.partition}\`);
          const call = this.#prepare(task);
          try {`,
    caughtBy: {
      file: 'test/lib/replay/buffer/tier.test.ts',
      test: 'what waits for its turn to be appended is what was in memory when it was chosen',
    },
  },
  {
    guarantee: 'G16',
    name: 'all clients of a partition are sent on at once',
    file: 'services/gateway/clients.ts',
    find: 'clock.after(random() * (windowMs - patienceMs), ',
    replace: 'clock.after(0, ',
    caughtBy: {
      file: 'test/services/gateway/clients.test.ts',
      test: 'clients move on spread over the window, of which its last part is for their next event',
    },
  },
  {
    guarantee: 'G16',
    name: 'a client that was told to move is closed before it has',
    file: 'services/gateway/clients.ts',
    find: 'clock.after(windowMs, moveOn);',
    replace: 'clock.after(0, moveOn);',
    caughtBy: {
      file: 'test/services/gateway/clients.test.ts',
      test: 'one that moves by itself is told in the first half of the window, and closed at its end if it is still there',
    },
  },
  {
    guarantee: 'G16',
    name: 'a gateway is ready while the clients of what it took over are on their way',
    file: 'lib/ownership/arrival.ts',
    find: 'if (receives) {',
    replace: 'if (!receives) {',
    caughtBy: {
      file: 'test/lib/ownership/arrival.test.ts',
      test: 'a gateway that takes over is there when the clients of who had it before had their time to come',
    },
  },
  {
    guarantee: 'G16',
    name: 'a partition that leaves takes its clients along at once',
    file: 'services/gateway/handover.ts',
    find: 'const leftMs = Math.max(0, untilMs - clock.nowMs());',
    replace: 'const leftMs = 0; void untilMs;',
    caughtBy: {
      file: 'test/services/gateway/handover.test.ts',
      test: 'a client that moves by itself is told to while it is served; one that stays is closed when the window is over',
    },
  },
  {
    guarantee: 'G14',
    name: 'an operation that the client has completed counts no more, though its work runs on',
    file: 'services/gateway/ws/operation.ts',
    find: 'if (work === undefined) ended();',
    replace: 'ended();',
    caughtBy: {
      file: 'test/services/gateway/ws/work.test.ts',
      test: 'an operation counts until its work has ended, which may be long after the client has completed it',
    },
  },
  {
    guarantee: 'G14',
    name: 'the work of an operation that the client has completed is not told so',
    file: 'services/gateway/ws/protocol.ts',
    find: 'cancel: () => canceller.abort()',
    replace: 'cancel() {}',
    caughtBy: {
      file: 'test/services/gateway/ws/work.test.ts',
      test: 'commands are not waited for any more when their socket, or the request that they came in, has ended',
    },
  },
  {
    guarantee: 'G20',
    name: 'the watchdog counts time in which it stood still itself',
    file: 'lib/ops/watchdog.ts',
    find: 'Math.min(sinceTickMs, intervalMs)',
    replace: 'sinceTickMs',
    caughtBy: {
      file: 'test/lib/ops/watchdog.test.ts',
      test: 'a beat ends the time that the event loop has stood still, and a late tick counts as one interval',
    },
  },
  {
    guarantee: 'G20',
    name: 'the watchdog never bites',
    file: 'lib/ops/watchdog.ts',
    find: 'if (watched.stoodMs >= timeoutMs)',
    replace: 'if (watched.stoodMs < 0)',
    caughtBy: {
      file: 'test/lib/ops/watchdog.test.ts',
      test: 'a process whose event loop stands still is ended, and says for how long in one line of its log',
    },
  },
  {
    guarantee: 'G21',
    name: 'a peer port that is full lets go without a word',
    file: 'lib/ownership/peer-port.ts',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is the text of a source file
    find: 'socket.end(`incarnation ${incarnation}\\n`, () => socket.destroy());',
    replace: 'socket.destroy();',
    caughtBy: {
      file: 'test/lib/ownership/peers.test.ts',
      test: 'a port that is full says so: its process is not taken for dead',
    },
  },
  {
    guarantee: 'G21',
    name: 'connections that say nothing keep their places at a peer port',
    file: 'lib/ownership/peer-port.ts',
    find: 'if (sockets.size >= maxPeers) cutOff(strangers.keys().next().value);',
    replace: '',
    caughtBy: {
      file: 'test/lib/ownership/peers.test.ts',
      test: 'connections that say nothing give way to peers, the oldest first',
    },
  },
];
