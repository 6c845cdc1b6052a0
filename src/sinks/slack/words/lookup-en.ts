/** What Home, Details and the slash command say in English, and the type that each other language has to satisfy. */
export const lookupEn = {
  help: {
    title: 'What you can ask',
    usage: [
      ['status', 'how each sink is doing'],
      ['find tea', 'channels with this in their name or id'],
      ['channel @TOA#_tea', 'one channel: its profile, and whether each sink has it'],
      ['failed', 'changes that could not be delivered, with Retry and Discard'],
      ['help', 'this list'],
    ],
  },
};
