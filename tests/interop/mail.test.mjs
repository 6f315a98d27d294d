// Letters over a real mail server: TLS, sign-in there, refusals for now and for good, and a server that is killed.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { MailServer, certificate, outbox } from './lib/mail.mjs';
import { SHUT_PORT, Server, temporaryDirectory, until } from './lib/processes.mjs';

const directory = temporaryDirectory();
const PASSWORD = 'the mail server\'s own';
const passwordFile = join(directory.path, 'password');
const wrongFile = join(directory.path, 'wrong');
for (const [file, text] of [[passwordFile, `${PASSWORD}\n`], [wrongFile, 'another\n']]) {
  writeFileSync(file, text);
  chmodSync(file, 0o600);
}
const { authority, chain, key } = certificate(directory.path);
const secured = { chain, key, user: 'pay', password: PASSWORD };

const settings = (port, tls, file) => `[mail]
host = "127.0.0.1"
port = ${port}
tls = ${JSON.stringify(tls)}
from = "no-reply@pay.example"
${file ? `user = "pay"\npassword_file = ${JSON.stringify(file)}` : ''}
`;
const write = (server, to) => server.operator(['--config', server.config, 'mail', 'test', to]);
const trusting = () => { process.env.SSL_CERT_FILE = authority; };
const trustingNobody = () => { delete process.env.SSL_CERT_FILE; };

let mail;
let server;

before(async () => {
  trusting();
  mail = await MailServer.start('starttls', secured);
  server = await Server.start({ settings: settings(mail.port, 'starttls', passwordFile) });
});
after(async () => {
  await server?.stop();
  await mail?.stop();
  directory.remove();
});

describe('a letter', () => {
  it('is sent over TLS, by a user who signed in, as what it is', async () => {
    await write(server, 'Ana@Shop.Example');
    const letter = await mail.letter('ana@shop.example');
    assert.equal(letter.sender, 'no-reply@pay.example');
    assert.deepEqual([letter.tls, letter.user, letter.host], [true, 'pay', 'pay.example']);
    assert.match(letter.text, /^From: MakePay <no-reply@pay\.example>\r\n/m);
    assert.match(letter.text, /^Subject: MakePay: mail works\r\n/m);
    await until('the outbox is empty', () => outbox(server).length === 0);
  });

  it('that is put off is sent later, once', async () => {
    await write(server, 'later@shop.example');
    await mail.letter('later@shop.example');
    await until('the outbox is empty', () => outbox(server).length === 0);
    assert.equal(mail.letters('later@shop.example').length, 1);
    assert.equal(mail.notes.filter((note) => note.put_off).length, 1);
  });

  it('that is refused is put away, and the next one goes', async () => {
    await write(server, 'never@shop.example');
    await write(server, 'bob@shop.example');
    await mail.letter('bob@shop.example');
    await until('the refused one is put away', () => outbox(server, 'failed').length === 1);
    await until('the outbox is empty', () => outbox(server).length === 0);
  });

  it('outlives the server and an hour without a mail server', async () => {
    const { port } = mail;
    await mail.stop();
    await write(server, 'cem@shop.example');
    await server.kill();
    mail = await MailServer.start('starttls', secured, port);
    await server.launch();
    await mail.letter('cem@shop.example');
    await until('the outbox is empty', () => outbox(server).length === 0);
    assert.equal(mail.letters('cem@shop.example').length, 1);
  });
});

describe('a mail server that is not the one', () => {
  const log = (of) => of.process.tail();

  async function stays(there, words) {
    const here = await Server.start({ settings: there });
    try {
      await write(here, 'ana@shop.example');
      await until('it was tried', () => log(here).includes('the mail server did not take a letter'));
      assert.match(log(here), words);
      assert.equal(outbox(here).length, 1, 'the letter waits');
    } finally {
      await here.stop();
    }
  }

  it('has no certificate of an authority that is trusted: it hears neither letter nor password', async () => {
    trustingNobody();
    const seen = mail.notes.length;
    await stays(settings(mail.port, 'starttls', passwordFile), /certificate/i);
    trusting();
    assert.equal(mail.notes.length, seen);
  });

  it('offers no TLS: nothing is sent in the clear', async () => {
    const plain = await MailServer.start('none');
    await stays(settings(plain.port, 'starttls', passwordFile), /STARTTLS/i);
    await stays(settings(plain.port, 'tls', passwordFile), /tls|corrupt|message/i);
    assert.deepEqual(plain.notes, []);
    await plain.stop();
  });

  it('does not know the password: the letter waits until the operator mends that', async () => {
    await stays(settings(mail.port, 'starttls', wrongFile), /535|authentication/i);
  });

  it('is not there', async () => {
    await stays(settings(SHUT_PORT, 'starttls', passwordFile), /refused/i);
  });
});

describe('other ways', () => {
  it('TLS from the first byte, and none on this machine', async () => {
    for (const [mode, at] of [['tls', secured], ['none', undefined]]) {
      const other = await MailServer.start(mode, at);
      const here = await Server.start({ settings: settings(other.port, mode, at && passwordFile) });
      await write(here, 'ana@shop.example');
      const letter = await other.letter('ana@shop.example');
      assert.equal(letter.tls, mode === 'tls');
      await here.stop();
      await other.stop();
    }
  });
});
