/** What MANAGEMENT_TOKEN must be; the first rule that it breaks says best what is wrong. Apart from all other settings, so that the command line can read it alone. */
export const tokenRules = [
  [/^[^\s\p{C}]+$/u, { message: '$property must have no blanks and no control characters: it travels in a header' }],
  [/^.{16,}$/su, { message: '$property must have 16 characters or more' }],
] as const;
