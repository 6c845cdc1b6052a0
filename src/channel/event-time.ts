/** The bounds of an EventTime that a webhook tells, in milliseconds: not before 2010, and so far ahead of its arrival at most. */
export const earliestEventTime = Date.UTC(2010, 0, 1);
export const latestAheadMs = 10 * 60_000;
