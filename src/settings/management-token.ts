/** Rules for MANAGEMENT_TOKEN, most helpful message first. In a file of their own so that the command line need not load all settings. */
export const tokenRules = [
  [/^[^\s\p{C}]+$/u, { message: '$property must have no blanks and no control characters: it travels in a header' }],
  [/^.{16,}$/su, { message: '$property must have 16 characters or more' }],
] as const;
