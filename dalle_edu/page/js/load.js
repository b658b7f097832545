// Brings a model's file into the page: from a server with a bar that moves, and kept for the next visit; from a disk,
// where a page may not read files, as a script.

// `told`: what the page knows of the model; `progress(share)` hears how much has come. -> ArrayBuffer
export function loadModel(told, progress) {
  return location.protocol === 'file:' ? fromScript(told, progress) : fromServer(told, progress);
}

// What each code looks like, as base64: a script like the model from a disk, for it is too much for a page that is only
// read.
export function loadCodes(told) {
  return valueOf(told.base + told.codes, 'dalleCodes');
}

async function fromServer(told, progress) {
  const address = new URL(told.base + told.file, location.href).href;
  // Only where the connection is safe, or the server is one's own, does a browser keep files for a page.
  const cache = globalThis.caches ? await caches.open('dalle-edu') : null;
  const kept = cache ? await cache.match(address) : null;
  if (kept) {
    progress(1);
    return kept.arrayBuffer();
  }
  const answer = await fetch(address);
  if (!answer.ok) {
    throw new Error('The model could not be loaded (' + answer.status + '): ' + address);
  }
  const bytes = await collect(answer.body.getReader(), told.bytes, progress);
  if (cache) {
    await forgetOthers(cache, address);
    await cache.put(address, new Response(bytes));
  }
  return bytes.buffer;
}

// The pieces as they come, in one array of `size` bytes.
async function collect(reader, size, progress) {
  const bytes = new Uint8Array(size);
  const more = async (at) => {
    const { done, value } = await reader.read();
    if (done) {
      return at;
    }
    if (at + value.length > size) {
      throw new Error('The model is longer than it should be: load the page again.');
    }
    bytes.set(value, at);
    progress((at + value.length) / size);
    return more(at + value.length);
  };
  if ((await more(0)) < size) {
    throw new Error('The model was cut short on its way: try again.');
  }
  return bytes;
}

// An older version of the same model need not fill the reader's disk.
async function forgetOthers(cache, address) {
  const folder = address.slice(0, address.lastIndexOf('/') + 1);
  const old = (await cache.keys()).filter(({ url }) => url.startsWith(folder) && url !== address);
  await Promise.all(old.map((request) => cache.delete(request)));
}

// What a script leaves under `name`.
async function valueOf(address, name) {
  const script = document.createElement('script');
  script.src = address;
  await new Promise((resolve, reject) => {
    script.addEventListener('load', resolve);
    script.addEventListener('error', () => reject(new Error('There is no file ' + script.src)));
    document.head.append(script);
  });
  const value = globalThis[name];
  script.remove();
  delete globalThis[name];
  return value;
}

async function fromScript(told, progress) {
  const text = await valueOf(told.base + told.script, 'dalleModel');
  progress(1);
  return (await fetch('data:application/octet-stream;base64,' + text)).arrayBuffer();
}
