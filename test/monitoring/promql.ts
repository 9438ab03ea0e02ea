import { parser } from '@prometheus-io/lezer-promql';

/** Returns the text of each selector of series in an expression: a metric's name and its matchers, without ranges and offsets. */
export function selectorsOf(expression: string): string[] {
  const found: string[] = [];
  parser.parse(expression).iterate({
    enter({ type, from, to }) {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expression}`);
      if (type.name === 'VectorSelector') found.push(expression.slice(from, to).trim());
    },
  });
  return found;
}

/** Returns the metric's name of a selector. */
export function metricOf(selector: string): string {
  return /^[^{\s]*/.exec(selector)?.[0] ?? '';
}
