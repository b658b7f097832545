// Who may look at whom (chapter 7): a picture token may look back by the lags of its layer's mask.

const range = (count) => Array.from({ length: count }, (_, i) => i);

// Those of `dalle_edu.masks.picture_lags`: how many tokens back a picture token may look, falling to 0.
export function pictureLags(kind, [height, width], kernel) {
  const positions = height * width;
  const half = Math.min(Math.floor(kernel / 2), positions);
  const lags = {
    dense: () => range(positions),
    row: () => range(width + 1),
    column: () => range(height).map((row) => row * width),
    conv: () =>
      range(Math.min(half, height) + 1).flatMap((rowsBack) =>
        range(2 * half + 1).map((across) => rowsBack * width + across - half),
      ),
  }[kind]();
  const possible = new Set(lags.filter((lag) => lag >= 0 && lag < positions));
  return [...possible].toSorted((a, b) => b - a);
}

// The places that the token at `place` may look at, rising to itself.
export function placesSeen(lags, place) {
  return lags.filter((lag) => lag <= place).map((lag) => place - lag);
}
