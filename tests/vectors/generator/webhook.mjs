import { createHmac } from 'node:crypto';

const NOW = 1767225600;
const SECRET = 'whsec_vector_4f1c';
const BODY = '{"type":"makepay.payment.status_changed","status":"complete"}';

const mac = (time, body, secret = SECRET) => createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');
const delivery = (name, header, body = BODY, now = NOW) => ({
  name,
  secret: SECRET,
  header,
  body,
  now,
  tolerance: 300,
});
const within = (...args) => {
  const { header, ...record } = delivery(...args);
  return { ...record, headers: JSON.stringify(header) };
};
const accepted = (...args) => ({ ...delivery(...args), expect: 'accepted' });
const refused = (cause, ...args) => ({ ...delivery(...args), expect: 'refused', cause });

const good = mac(NOW, BODY);
const header = `t=${NOW},v1=${good}`;
const flipped = good.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
const binary = Buffer.from([0, 0xff, 0x0a, 0x80]);

export const webhooks = [
  accepted('plain', `t=${NOW},v1=${good}`),
  accepted('empty-body', `t=${NOW},v1=${mac(NOW, '')}`, ''),
  accepted('body-of-bytes', `t=${NOW},v1=${mac(NOW, binary)}`, binary),
  accepted('body-in-utf8', `t=${NOW},v1=${mac(NOW, '{"name":"Café"}')}`, '{"name":"Café"}'),
  accepted('spaces-after-commas', `t=${NOW}, v1=${good}`),
  accepted('signature-first', `v1=${good},t=${NOW}`),
  accepted('secret-being-changed', `t=${NOW},v1=${mac(NOW, BODY, 'whsec_previous')},v1=${good}`),
  accepted('unknown-scheme-beside', `t=${NOW},v0=00,v1=${good}`),
  accepted('oldest', `t=${NOW},v1=${good}`, BODY, NOW + 300),
  accepted('furthest-ahead', `t=${NOW},v1=${good}`, BODY, NOW - 300),
  refused('stale', 'too-old', `t=${NOW},v1=${good}`, BODY, NOW + 301),
  refused('stale', 'too-far-ahead', `t=${NOW},v1=${good}`, BODY, NOW - 301),
  refused('stale', 'timestamp-zero', `t=0,v1=${mac(0, BODY)}`),
  refused('mismatch', 'one-bit-off', `t=${NOW},v1=${flipped}`),
  refused('mismatch', 'truncated', `t=${NOW},v1=${good.slice(0, 62)}`),
  refused('mismatch', 'empty-signature', `t=${NOW},v1=`),
  refused('mismatch', 'upper-case', `t=${NOW},v1=${good.toUpperCase()}`),
  refused('mismatch', 'other-secret', `t=${NOW},v1=${mac(NOW, BODY, 'whsec_other')}`),
  refused('mismatch', 'other-timestamp', `t=${NOW + 1},v1=${good}`),
  refused('mismatch', 'timestamp-spelled-otherwise', `t=0${NOW},v1=${good}`),
  refused('mismatch', 'body-reformatted', `t=${NOW},v1=${good}`, BODY.replace(',', ', ')),
  refused('mismatch', 'body-with-newline', `t=${NOW},v1=${good}`, `${BODY}\n`),
  refused(
    'mismatch',
    'body-without-timestamp',
    `t=${NOW},v1=${createHmac('sha256', SECRET).update(BODY).digest('hex')}`,
  ),
  refused('malformed', 'empty-header', ''),
  refused('malformed', 'no-timestamp', `v1=${good}`),
  refused('malformed', 'no-signature', `t=${NOW}`),
  refused('malformed', 'other-scheme-only', `t=${NOW},v0=${good}`),
  refused('malformed', 'bare-signature', good),
  refused('malformed', 'two-timestamps', `t=${NOW},t=${NOW},v1=${good}`),
  refused('malformed', 'timestamp-not-a-number', `t=now,v1=${mac('now', BODY)}`),
  refused('malformed', 'timestamp-fractional', `t=${NOW}.5,v1=${mac(`${NOW}.5`, BODY)}`),
  refused('malformed', 'timestamp-overflows', `t=99999999999999999999,v1=${mac('99999999999999999999', BODY)}`),
  refused('malformed', 'semicolons', `t=${NOW};v1=${good}`),
  refused('malformed', 'nine-signatures', `t=${NOW}${`,v1=${good}`.repeat(9)}`),
  refused('malformed', 'timestamp-signed', `t=+${NOW},v1=${mac(`+${NOW}`, BODY)}`),
  { ...within('among-headers', [['accept', '*/*'], ['x-makepay-signature', header]]), expect: 'accepted' },
  { ...within('name-in-any-case', [['X-MakePay-Signature', header]]), expect: 'accepted' },
  { ...within('the-other-name', [['MakeCrypto-Signature', header]]), expect: 'accepted' },
  { ...within('no-headers', []), expect: 'refused', cause: 'absent' },
  { ...within('a-name-of-nobodys', [['x-signature', header]]), expect: 'refused', cause: 'absent' },
  {
    ...within('header-twice', [['x-makepay-signature', header], ['X-MAKEPAY-SIGNATURE', header]]),
    expect: 'refused', cause: 'malformed',
  },
  {
    ...within('both-names', [['x-makepay-signature', header], ['makecrypto-signature', header]]),
    expect: 'refused', cause: 'malformed',
  },
];
