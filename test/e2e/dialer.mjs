// Runs inside the product's image: dials one validator with a given identity, again and again, and says what it sees.

import { privateKeyFromProtobuf } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';

const say = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));
const node = await createLibp2p({
  privateKey: privateKeyFromProtobuf(Buffer.from(process.env.IDENTITY, 'base64')),
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() },
});
let open = false;
node.addEventListener('peer:identify', ({ detail }) => {
  open = true;
  say('protocols', { protocols: detail.protocols });
});
node.addEventListener('connection:close', () => {
  if (open) say('closed');
  open = false;
});
for (let attempt = 0; attempt < 600; attempt++) {
  if (!open) {
    try {
      const connection = await node.dial(multiaddr(process.env.DIAL), { signal: AbortSignal.timeout(5000) });
      say('dialed');
      await connection.newStream('/murmuration/hello/1.0.0', { signal: AbortSignal.timeout(3000) });
    } catch (error) {
      if (!open) say('refused', { why: String(error.message).slice(0, 200) });
    }
  }
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
