// The workers, up to four: each holds the whole model and draws one sample after another. The page asks, and hears.

const MOST = 4;

// A copy goes to the worker; nothing is handed over.
const send = (worker, message) => worker.postMessage(message, []);

export class Studio {
  // `source`: the worker's script as text; `hear(message)` gets what workers say.
  constructor(source, buffer, hear) {
    this.address = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    this.buffer = buffer;
    this.hear = hear;
    this.workers = [];
    this.place = new Map(); // sample -> its worker
  }

  // Workers for `samples` samples: no more than the machine has cores to spare.
  hire(samples) {
    const cores = Math.max(1, Math.min(MOST, (navigator.hardwareConcurrency || 2) - 1));
    while (this.workers.length < Math.min(samples, cores)) {
      const worker = new Worker(this.address);
      worker.addEventListener('message', ({ data }) => this.hear(data));
      worker.addEventListener('error', (event) =>
        this.hear({ says: 'error', message: event.message || 'The worker could not be started.' }),
      );
      send(worker, { task: 'open', buffer: this.buffer });
      this.workers.push(worker);
    }
  }

  // The first worker answers what is about no sample.
  ask(message) {
    this.hire(1);
    send(this.workers[0], message);
  }

  draw(sample, message) {
    const worker = sample % this.workers.length;
    this.place.set(sample, worker);
    send(this.workers[worker], { task: 'draw', sample, ...message });
  }

  // A sample that goes its own way from another's tokens: on that one's worker, where its keys are.
  branch(sample, from, message) {
    this.place.set(sample, this.place.get(from));
    this.tell(sample, { task: 'branch', from, ...message });
  }

  // To the worker of a sample.
  tell(sample, message) {
    send(this.workers[this.place.get(sample)], { sample, ...message });
  }

  // All drawings so far are forgotten, which frees their memory.
  clear() {
    this.place.clear();
    this.workers.forEach((worker) => send(worker, { task: 'forget' }));
  }
}
