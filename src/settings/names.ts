/** Edit distance that also counts swapping two adjacent letters as one edit. */
export function distance(a: string, b: string): number {
  let [before, row]: [number[], number[]] = [[], Array.from({ length: b.length + 1 }, (_, index) => index)];
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const changed = row[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2]! + 1 : Infinity;
      next.push(Math.min(changed, swapped, row[j]! + 1, next[j - 1]! + 1));
    }
    [before, row] = [row, next];
  }
  return row.at(-1)!;
}

/** A name in upper case, with `_` as separator. */
export function normalized(name: string): string {
  return name.toUpperCase().replace(/[-. ]/g, '_');
}

/** The closest of these words, at most two edits away. */
export function closest(written: string, words: readonly string[]): string | undefined {
  const [found] = words
    .filter(word => Math.abs(word.length - written.length) <= 2)
    .map(word => ({ word, edits: distance(written, word) }))
    .filter(({ edits }) => edits <= 2)
    .sort((a, b) => a.edits - b.edits);
  return found?.word;
}

/** The setting that a misspelled name probably stands for; case and separators are ignored. */
export function closestName(name: string, ours: readonly string[]): string | undefined {
  return closest(
    normalized(name),
    ours.flatMap(setting => [setting, `${setting}_FILE`]),
  );
}
