import { headerText, type KafkaRecord, keyText } from '../../../lib/kafka/index.ts';
import type { RecordStreams } from '../../../lib/replay/index.ts';

/** Called for each feedback of a command, in order; `final`: no others will follow. */
export type FeedbackListener = (record: KafkaRecord, final: boolean) => void;

/** Waits for feedback: one tap a (topic, partition), however many commands wait for theirs. */
export interface FeedbackTaps {
  /** Begins to wait for a command's feedback. */
  listen(topic: string, partition: number, command: CommandKey, listener: FeedbackListener): Listening;
  close(): void;
}

export interface Listening {
  /** Resolves once the partition is being read: feedback of a command that is produced after that will be seen. Never settles once stopped. */
  reading: Promise<void>;
  /** Ends the wait; nothing of it is kept, even while the partition can't be read. */
  stop(): void;
}

export interface CommandKey {
  userKey: string;
  commandId: string;
}

/** How long a tap that nobody waits at stays open: the next command need not wait for it. */
const lingerMs = 60_000;

export function openFeedbackTaps(streams: Pick<RecordStreams, 'tap'>): FeedbackTaps {
  const taps = new Map<string, Tap>();
  return {
    listen(topic, partition, command, listener) {
      const name = `${topic}/${partition}`;
      let tap = taps.get(name);
      if (!tap) taps.set(name, (tap = openTap(streams, topic, partition, () => taps.delete(name))));
      return tap.listen(`${command.userKey}\0${command.commandId}`, listener);
    },
    close() {
      for (const tap of [...taps.values()]) tap.close();
    },
  };
}

interface Tap {
  listen(name: string, listener: FeedbackListener): Listening;
  close(): void;
}

function openTap(streams: Pick<RecordStreams, 'tap'>, topic: string, partition: number, gone: () => void): Tap {
  const waiting = new Map<string, Set<FeedbackListener>>();
  /** Told when the partition is being read, or can't be. A reaction to `opening` for each could not be taken back. */
  const openers = new Set<PromiseWithResolvers<void>>();
  let idle: NodeJS.Timeout | undefined;
  let closed = false;
  let reading = false;
  const opening = streams.tap(topic, partition, show);
  opening.then(
    () => {
      reading = true;
      for (const opener of openers) opener.resolve();
      openers.clear();
    },
    (error: unknown) => {
      for (const opener of openers) opener.reject(error);
      openers.clear();
      close();
    },
  );

  return {
    listen(name, listener) {
      clearTimeout(idle);
      const listeners = waiting.get(name) ?? new Set();
      waiting.set(name, listeners.add(listener));
      const opener = reading ? undefined : Promise.withResolvers<void>();
      if (opener !== undefined) openers.add(opener);
      const stop = () => {
        if (opener !== undefined) openers.delete(opener);
        listeners.delete(listener);
        if (listeners.size === 0 && waiting.get(name) === listeners) waiting.delete(name);
        if (waiting.size === 0 && !closed) idle = setTimeout(close, lingerMs).unref();
      };
      return { reading: opener?.promise ?? Promise.resolve(), stop };
    },
    close,
  };

  function show(record: KafkaRecord): void {
    if (waiting.size === 0) return;
    const commandId = headerText(record.headers, 'ce_commandid');
    if (commandId === undefined) return;
    const listeners = waiting.get(`${keyText(record)}\0${commandId.toLowerCase()}`);
    if (!listeners) return;
    const final = headerText(record.headers, 'ce_final') !== 'false';
    for (const listener of [...listeners]) listener(record, final);
  }

  function close(): void {
    if (closed) return;
    closed = true;
    clearTimeout(idle);
    gone();
    opening.then(
      end => end(),
      () => {},
    );
  }
}
