// Which site calls, as the daemon wants to hear it.

const bytes = (text) => [...Buffer.from(text, 'utf8')];
const encode = (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;

/**
 * The value of `Counterfoil-Site`: the address that visitors know, the number of the blog, the directory of the code.
 * Everything that a header cannot carry is percent-encoded.
 */
export function siteHeader({ home, blog = 1, path }) {
  if (!Number.isInteger(blog) || blog < 1) throw new TypeError('blog is a whole number from 1');
  const plainHome = bytes(home).map((byte) => (byte > 0x20 && byte < 0x7f && byte !== 0x3b ? String.fromCharCode(byte) : encode(byte)));
  const plainPath = bytes(path).map((byte) => (/[A-Za-z0-9/._~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : encode(byte)));
  return `${plainHome.join('')}; ${blog}; ${plainPath.join('')}`;
}
