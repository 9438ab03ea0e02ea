import { once } from 'node:events';
import { connect } from 'node:net';
import { putHelpersLast, startBehind } from '../processes/priority.ts';
import type { Release } from './folder.ts';
import { type Counts, type Service, services } from './options.ts';
import type { Ports } from './ports.ts';
import {
  drainTimeoutMs,
  hasCommands,
  type ServiceContext,
  type ServicePorts,
  servesHttp,
  serviceSpec,
} from './services.ts';
import type { StackProcess } from './stack-file.ts';
import type { Supervisor, Work } from './supervisor.ts';
import { Trouble } from './trouble.ts';

/** The service processes of a stack. */
export interface Fleet {
  /** Starts the first ones and waits until all are ready. */
  startFirst(signal: AbortSignal): Promise<void>;
  /** Starts and drains until there are so many; those with the highest numbers go first. */
  scale(service: Service, count: number): Promise<void>;
  /** Kills a gateway that is up: the one of this name, else any. @returns its name; undefined: there is none. */
  killGateway(name: string | undefined): string | undefined;
  stop(): Promise<void>;
}

export interface FleetParts {
  counts: Counts;
  context: ServiceContext;
  ports: Ports;
  supervisor: Supervisor;
  /** The release that a process is to run at its next start; undefined: this one. */
  releaseOf(name: string): Release | undefined;
  /** The processes that are up have changed. */
  onChange(up: readonly StackProcess[]): void;
}

const readyWithinMs = 120_000;
/** While a process starts. */
const lookEveryMs = 50;
/** More than a service's own time-out, so that it is the one that cuts its drain short. */
const graceMs = (service: Service) => drainTimeoutMs[service] + 1_000;

export function openFleet({ counts, context, ports, supervisor, releaseOf, onChange }: FleetParts): Fleet {
  const up = new Map<string, StackProcess>();
  const present = Object.fromEntries(services.map(service => [service, 0])) as Record<Service, number>;

  let stopping = false;

  const changed = () =>
    onChange([...up.values()].sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true })));

  function workOf(service: Service, index: number): Work {
    const name = `${service}-${index}`;
    let assigned: ServicePorts | undefined;
    let current: number | undefined;
    return {
      name,
      kind: 'service',
      stopSignal: 'SIGTERM',
      async spec() {
        assigned = {
          name,
          admin: await ports.take(`${name}-admin`),
          http: servesHttp(service) ? await ports.take(name) : undefined,
        };
        return serviceSpec(service, assigned, context, releaseOf(name));
      },
      async probe() {
        if (assigned === undefined) throw new Error('it has not been started yet');
        await ready(`http://127.0.0.1:${assigned.admin}`);
      },
      onStart(pid) {
        current = pid;
        const { admin, http } = assigned ?? { admin: 0, http: undefined };
        const adminUrl = `http://127.0.0.1:${admin}`;
        const url = http === undefined ? adminUrl : `http://127.0.0.1:${http}`;
        const stillThere = () => current === pid;
        const answering = live(adminUrl, stillThere);
        void startBehind(pid, http === undefined ? answering : listening(http, stillThere));
        void answering.then(answers => {
          if (!answers) return;
          putHelpersLast(pid);
          up.set(name, { name, service, pid, url, admin: adminUrl });
          changed();
        });
      },
      onGone() {
        current = undefined;
        if (up.delete(name)) changed();
      },
    };
  }

  async function stopAll(group: readonly Service[]): Promise<void> {
    const stopping = group.flatMap(service =>
      Array.from({ length: present[service] }, (_, index) => supervisor.stop(`${service}-${index}`, graceMs(service))),
    );
    await Promise.all(stopping);
  }

  return {
    async startFirst(signal) {
      const starting = services.flatMap(service =>
        Array.from({ length: (present[service] = counts[service]) }, (_, index) => workOf(service, index)),
      );
      const failed = new AbortController();
      const either = AbortSignal.any([signal, failed.signal]);
      const ready = starting.map(work => supervisor.startFirst(work, readyWithinMs, either));
      for (const one of ready) one.catch(error => failed.abort(error));
      await Promise.allSettled(ready);
      if (failed.signal.aborted) throw failed.signal.reason;
    },
    async scale(service, count) {
      if (service === 'command-handler' && count > 0 && !hasCommands(context.app)) {
        throw new Trouble('the app has no commands.ts');
      }
      while (!stopping && present[service] < count) supervisor.start(workOf(service, present[service]++));
      while (!stopping && present[service] > count)
        await supervisor.stop(`${service}-${--present[service]}`, graceMs(service));
    },
    killGateway(name) {
      const gateways = [...up.values()].filter(one => one.service === 'gateway' && (name ?? one.name) === one.name);
      const chosen = gateways[Math.floor(Math.random() * gateways.length)];
      if (chosen === undefined || stopping) return undefined;
      process.kill(chosen.pid, 'SIGKILL');
      return chosen.name;
    },
    async stop() {
      stopping = true;
      // those that wait for verdicts go before those that give them
      await stopAll(['router', 'gateway']);
      await stopAll(['command-handler', 'projector']);
    },
  };
}

/** @throws with the reasons that a process gives for not being ready. */
async function ready(adminUrl: string): Promise<void> {
  const response = await fetch(`${adminUrl}/readyz`, { signal: AbortSignal.timeout(5_000) });
  const body = await response.text();
  if (response.status !== 200) throw new Error(body.trim());
}

/** Waits until a process takes connections on a port of its own: it has loaded its modules then; or until it has gone. */
async function listening(port: number, stillThere: () => boolean): Promise<void> {
  while (stillThere()) {
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await new Promise(resolve => setTimeout(resolve, lookEveryMs));
  }
}

/** Waits until a process answers on its admin port; false when it has gone before. */
async function live(adminUrl: string, stillThere: () => boolean): Promise<boolean> {
  while (stillThere()) {
    const response = await fetch(`${adminUrl}/livez`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    await response?.body?.cancel();
    if (response?.ok) return stillThere();
    await new Promise(resolve => setTimeout(resolve, lookEveryMs));
  }
  return false;
}
