import type { TopicPlan } from './plan.ts';
import type { Place, Problems } from './problems.ts';

type Use = 'records' | 'command' | 'feedback' | 'table';

/** Kafka's own limit for a topic's name. */
const longestName = 249;

/** Collects the topics that a schema names. */
export interface Topics {
  mention(name: string, use: Use, place: Place): void;
  plans(): readonly TopicPlan[];
}

export function openTopics(problems: Problems): Topics {
  const mentions: { name: string; use: Use; at: number }[] = [];
  const collisions = new Map<string, string>();
  return { mention, plans };

  function mention(name: string, use: Use, place: Place): void {
    const fault = faultOf(name, use);
    if (fault) {
      problems.add(place, `topic "${name}" ${fault}`);
      return;
    }
    // Kafka refuses the second of two topics whose names become the same metric name.
    const metric = name.replaceAll('.', '_');
    const other = collisions.get(metric);
    if (other !== undefined && other !== name) {
      problems.add(
        place,
        `topic "${name}" and topic "${other}" can't both exist in Kafka: it takes . and _ for the same`,
      );
      return;
    }
    collisions.set(metric, name);
    mentions.push({ name, use, at: place?.loc?.start ?? 0 });
  }

  function plans(): readonly TopicPlan[] {
    const uses = new Map<string, Set<Use>>();
    for (const { name, use } of mentions.sort((a, b) => a.at - b.at)) {
      const known = uses.get(name);
      if (known) known.add(use);
      else uses.set(name, new Set([use]));
    }
    return [...uses].map(([name, usedAs]) => ({ name, usedAs }));
  }
}

function faultOf(name: string, use: Use): string | undefined {
  if (name === '') return 'needs a name';
  if (name === '.' || name === '..' || !/^[a-zA-Z0-9._-]+$/.test(name)) {
    return "is no name that Kafka takes: use letters, digits, '.', '_' and '-'";
  }
  const longest = use === 'table' ? longestName - '-dlt'.length : longestName;
  return name.length > longest ? `is longer than ${longest} characters` : undefined;
}
