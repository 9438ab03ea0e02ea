/** What was measured of something at one time. */
export interface Point {
  /** Seconds since any fixed time. */
  readonly atSeconds: number;
  readonly value: number;
}

export interface Line {
  /** Change of the value in a second. */
  readonly slope: number;
  /** The value at second 0. */
  readonly intercept: number;
}

/** Returns the straight line nearest to the points (ordinary least squares). @throws RangeError where they do not lie at two times or more. */
export function linearFit(points: readonly Point[]): Line {
  const meanSeconds = mean(points.map(({ atSeconds }) => atSeconds));
  const meanValue = mean(points.map(({ value }) => value));
  let covariance = 0;
  let variance = 0;
  for (const { atSeconds, value } of points) {
    covariance += (atSeconds - meanSeconds) * (value - meanValue);
    variance += (atSeconds - meanSeconds) ** 2;
  }
  if (!(variance > 0)) throw new RangeError('a line needs points at two times or more');
  const slope = covariance / variance;
  return { slope, intercept: meanValue - slope * meanSeconds };
}

/**
 * Returns by which part of itself the value has grown between the first and the last point, along the line through all of them: 0.1 is
 * 10 %, less than 0 means that it has shrunk. Single points may lie off the line: a heap that is measured just before a garbage
 * collection is not a leak. @throws RangeError as `linearFit` does.
 */
export function growthOf(points: readonly Point[]): number {
  const { slope, intercept } = linearFit(points);
  const times = points.map(({ atSeconds }) => atSeconds);
  const [firstSeconds, lastSeconds] = [Math.min(...times), Math.max(...times)];
  const growth = slope * (lastSeconds - firstSeconds);
  const first = intercept + slope * firstSeconds;
  if (growth === 0) return 0;
  // A line that begins at nothing, or below it, has grown by more than any part of itself.
  return first > 0 ? growth / first : Math.sign(growth) * Number.POSITIVE_INFINITY;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
