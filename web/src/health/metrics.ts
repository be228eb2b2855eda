/** Prometheus' text format, as far as the page needs it. Pure. */

/** The sum and count of a histogram by one of its labels, over every other one. */
export type Totals = Map<string, { seconds: number; count: number }>;

const LINE = /^([a-zA-Z_:][\w:]*)\{([^}]*)\} (\S+)$/;

export function totals(text: string, metric: string, label: string): Totals {
  const found: Totals = new Map();
  for (const line of text.split("\n")) {
    const [, name, labels, value] = LINE.exec(line) ?? [];
    if (name !== `${metric}_sum` && name !== `${metric}_count`) continue;
    const by = new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(labels ?? "")?.[1];
    if (by === undefined) continue;
    const now = found.get(by) ?? { seconds: 0, count: 0 };
    if (name.endsWith("_sum")) now.seconds += Number(value);
    else now.count += Number(value);
    found.set(by, now);
  }
  return found;
}

/** Mean milliseconds of what came between two readings; without an earlier one, since the server began. */
export function meansSince(before: Totals | undefined, now: Totals): [string, number][] {
  const means: [string, number][] = [];
  for (const [by, { seconds, count }] of now) {
    const past = before?.get(by);
    const came = past && count >= past.count ? { seconds: seconds - past.seconds, count: count - past.count } : { seconds, count };
    if (came.count > 0) means.push([by, (1000 * came.seconds) / came.count]);
  }
  return means;
}
