import Sequencer from '@jest/test-sequencer';

/** Specs with processes of their own come first: where Jest does not remember how long each took, as in CI, a long one would run alone at the end. */
export default class SlowFirst extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const isSlow = ({ path }) => path.includes('/test/');
    return [...sorted.filter(isSlow), ...sorted.filter(test => !isSlow(test))];
  }
}
