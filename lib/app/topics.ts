import type { TopicPlan } from './plan.ts';
import type { Place, Problems } from './problems.ts';

type Use = 'records' | 'command' | 'feedback' | 'table';

/** Kafka's own limit for a topic's name; ours appends `-dlt` for records that can't be used. */
const longestName = 249 - '-dlt'.length;

/** Collects the topics that a schema names. */
export interface Topics {
  mention(name: string, use: Use, place: Place): void;
  plans(): readonly TopicPlan[];
}

export function openTopics(problems: Problems): Topics {
  const mentions: { name: string; use: Use; at: number }[] = [];
  const metricNames = new Map<string, string>();
  return { mention, plans };

  function mention(name: string, use: Use, place: Place): void {
    const fault = faultOf(name) ?? collisionOf(name) ?? circleOf(name, use);
    if (fault) problems.add(place, `topic "${name}" ${fault}`);
    else mentions.push({ name, use, at: place?.loc?.start ?? 0 });
  }

  /** Kafka refuses the second of two topics whose names become the same metric name. */
  function collisionOf(name: string): string | undefined {
    const metricName = name.replaceAll('.', '_');
    const other = metricNames.get(metricName) ?? name;
    metricNames.set(metricName, other);
    return other === name ? undefined : `and topic "${other}" can't both exist: Kafka takes . and _ for the same`;
  }

  function circleOf(name: string, use: Use): string | undefined {
    const opposite = use === 'command' ? 'feedback' : use === 'feedback' ? 'command' : undefined;
    const clash = mentions.some(other => other.name === name && other.use === opposite);
    return clash ? "can't carry both commands and feedback: name another one" : undefined;
  }

  function plans(): readonly TopicPlan[] {
    const uses = new Map<string, Set<Use>>();
    for (const { name, use } of mentions.toSorted((a, b) => a.at - b.at)) {
      const known = uses.get(name);
      if (known) known.add(use);
      else uses.set(name, new Set([use]));
    }
    return [...uses].map(([name, usedAs]) => ({ name, usedAs }));
  }
}

function faultOf(name: string): string | undefined {
  if (name === '') return 'needs a name';
  if (name === '.' || name === '..' || !/^[a-zA-Z0-9._-]+$/.test(name)) {
    return "is no name that Kafka takes: use letters, digits, '.', '_' and '-'";
  }
  return name.length > longestName ? `is longer than ${longestName} characters` : undefined;
}
