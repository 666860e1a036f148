// A validator's own program, but that what it sends of its model is turned round and four times as long.
import { Participant } from '/app/dist/learning/participant.js';

const honest = Participant.prototype.message;
Participant.prototype.message = function lie(...words) {
  const { flat } = this.own;
  const honestly = flat.slice();
  for (let i = 0; i < flat.length; i += 1) flat[i] *= -4;
  try {
    return honest.apply(this, words);
  } finally {
    flat.set(honestly);
  }
};
