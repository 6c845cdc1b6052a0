import type { KnownBlock } from '@slack/types';
import { type RenderContext, richText, text } from '../card/blocks.js';
import type { Command } from '../clicks/commands.js';
import type { PrivateWords } from '../clicks/private-words.js';

/** What somebody is told who typed the slash command. */
export async function answerTo({ name }: Command, { words }: RenderContext): Promise<PrivateWords> {
  const { title, usage } = words.lookup.help;
  const lines = usage.map(([how, what]) => [text(`${name} ${how}`, { code: true }), text(` ${what}`)]);
  const blocks: KnownBlock[] = [richText([[text(title, { bold: true })], ...lines])];
  return { text: title, blocks };
}
