/** How many letters must be put in, left out, changed, or swapped with their neighbour to make one name of the other. */
export function distance(one: string, other: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: other.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const changed = row[j - 1]! + Number(one[i - 1] !== other[j - 1]);
      const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1] ? before[j - 2]! + 1 : Infinity;
      next.push(Math.min(changed, swapped, row[j]! + 1, next[j - 1]! + 1));
    }
    [before, row] = [row, next];
  }
  return row.at(-1)!;
}

/** A name in the letters and separators of ours. */
export function spelled(name: string): string {
  return name.toUpperCase().replace(/[-. ]/g, '_');
}

/** Which of our names was meant, whatever its case and its separators: the nearest, two letters away at most. */
export function meant(name: string, ours: readonly string[]): string | undefined {
  const written = spelled(name);
  const [nearest] = ours
    .flatMap(one => [one, `${one}_FILE`])
    .filter(one => Math.abs(one.length - written.length) <= 2)
    .map(one => ({ one, away: distance(written, one) }))
    .filter(({ away }) => away <= 2)
    .sort((a, b) => a.away - b.away);
  return nearest?.one;
}
