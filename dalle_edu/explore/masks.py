"""Attention masks to look at (chapter 7): as a matrix, as keys on the picture's grid, and to touch.

Every function takes any boolean mask, [query, key], True: may look, of a stream of text tokens and then
picture tokens in raster order; `dalle_edu.masks.attention_mask` makes those of the paper (Ramesh et al. 2021,
figure 11).
"""

import base64

import matplotlib.pyplot as plt
import numpy as np
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS

REGIONS = {"text to text": COLOURS[5], "picture to text": COLOURS[4], "picture to picture": COLOURS[0]}


def plot_mask(
    mask, text_length: int = 0, ax=None, title: str | None = None, query: int | None = None
) -> None:
    """Draws `mask` (L, L) bool as a matrix: queries downwards, keys to the right, the `query` framed."""
    mask = _as_mask(mask)
    length = len(mask)
    ax = ax or plt.gca()
    # With more cells than pixels, few cells would fade to nothing: a pixel is coloured if
    # any of its cells is True.
    pixel = -(-length // 400)
    shown = np.zeros((-(-length // pixel) * pixel,) * 2, dtype=bool)
    shown[:length, :length] = mask
    shown = shown.reshape(len(shown) // pixel, pixel, -1, pixel).any(axis=(1, 3))
    picture = np.ones((*shown.shape, 3))
    for (rows, columns), colour in _regions(len(shown), text_length // pixel):
        picture[rows, columns][shown[rows, columns]] = _rgb(colour)
    edge = len(shown) * pixel - 0.5
    ax.imshow(picture, interpolation="nearest", extent=(-0.5, edge, edge, -0.5))
    ax.locator_params(nbins=6, integer=True)
    if length <= 48:
        ax.set_xticks(np.arange(-0.5, length), minor=True)
        ax.set_yticks(np.arange(-0.5, length), minor=True)
        ax.grid(which="minor", color="#ced4da", linewidth=0.5)
        ax.tick_params(which="minor", length=0)
    if 0 < text_length < length:
        ax.axhline(text_length - 0.5, color="black", linewidth=1, linestyle="-")
        ax.axvline(text_length - 0.5, color="black", linewidth=1, linestyle="-")
    if query is not None:
        ax.add_patch(
            plt.Rectangle((-0.5, query - 0.5), length, 1, fill=False, edgecolor=COLOURS[1], linewidth=2)
        )
    ax.set_xlabel("key")
    ax.set_ylabel("query")
    ax.set_title(title)
    ax.spines[:].set_visible(True)


def plot_keys(
    mask, query: int, text_length: int, grid: tuple[int, int], ax=None, title: str | None = None
) -> None:
    """Draws what one query reads: the picture's `grid`, with the text as squares above it.

    Filled with a dot: a key that it reads. Crossed: the query. Grey: earlier, not read. Hatched: its future.
    """
    mask = _as_mask(mask, text_length, grid)
    height, width = grid
    if not 0 <= query < len(mask):
        raise ReaderError(f"query must be a position from 0 to {len(mask) - 1}, but it is {query}.")
    ax = ax or plt.gca()
    text_rows = -(-text_length // width)
    if max(width, height) > 20:
        _paint_keys(ax, mask[query], query, text_length, grid, text_rows)
        ax.set_title(title)
        return
    for position in range(len(mask)):
        if position < text_length:
            row, column = position // width - text_rows - 0.5, position % width
        else:
            row, column = divmod(position - text_length, width)
        future = position > query
        face = COLOURS[0] if mask[query, position] else "white" if future else "#dee2e6"
        if position == query:
            face = COLOURS[1]
        ax.add_patch(
            plt.Rectangle((column, row), 1, 1, facecolor=face, edgecolor="#868e96", linewidth=0.6,
                          hatch="///" if future and not mask[query, position] else None)
        )  # fmt: skip
        mark = "x" if position == query else "." if mask[query, position] else None
        if mark:
            ax.plot(column + 0.5, row + 0.5, marker=mark, color="white", linestyle="", markersize=6)
    ax.set_xlim(-0.1, width + 0.1)
    ax.set_ylim(height + 0.1, -text_rows - 0.6)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title)


def _paint_keys(ax, reads, query, text_length, grid, text_rows) -> None:
    """`plot_keys` for pictures of many tokens: plain colours, and a cross at the query."""
    height, width = grid
    cells = np.ones((text_rows * width + width + height * width, 3))
    at = np.arange(len(reads))
    at[text_length:] += (text_rows + 1) * width - text_length  # one empty row between text and picture
    cells[at[:query]] = _rgb("#dee2e6")
    cells[at[reads]] = _rgb(COLOURS[0])
    ax.imshow(cells.reshape(-1, width, 3), interpolation="nearest")
    ax.plot(
        at[query] % width, at[query] // width, marker="x", color=COLOURS[1], markersize=7, markeredgewidth=2
    )
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)


def mask_explorer(
    masks,
    grid: tuple[int, int],
    text_length: int,
    *,
    layers: list[str] | None = None,
    query: int | None = None,
    title: str = "Who may look at whom",
) -> Explorer:
    """A figure to touch: point at a query, or move it with the arrow keys, and see its keys.

    masks: one mask (L, L) bool, or several as {name: mask} or as a list (named "layer 1", "layer 2", ...),
        with L = text_length + height * width. Any mask may be passed in, also one that looks into the future.
    layers: the names of the masks that the layers of a model use, first layer first; then the reader can walk
        through the layers and see which tokens can reach the query through all layers up to the chosen one. A
        list of masks is its own list of layers.
    query: the position that is chosen at first; the middle of the picture if None.
    Raises ReaderError for a mask that is not boolean or does not fit `grid` and `text_length`, or for a layer
    whose mask is not there.
    """
    if isinstance(masks, (list, tuple)):
        masks = {f"layer {index + 1}": mask for index, mask in enumerate(masks)}
        layers = list(masks) if layers is None else layers
    elif not isinstance(masks, dict):
        masks = {"mask": masks}
    if not masks:
        raise ReaderError("There is no mask to explore; pass one mask, or several as {name: mask}.")
    masks = {str(name): _as_mask(mask, text_length, grid) for name, mask in masks.items()}
    names = list(masks)
    for layer in layers or []:
        if layer not in names:
            raise ReaderError(f"A layer uses the mask {layer!r}, but the masks are: {', '.join(names)}.")
    height, width = grid
    length = text_length + height * width
    query = text_length + height // 2 * width + width // 2 if query is None else query
    if not 0 <= query < length:
        raise ReaderError(f"query must be a position from 0 to {length - 1}, but it is {query}.")
    data = {
        "masks": [{"name": name, **encode_mask(mask)} for name, mask in masks.items()],
        "layers": [names.index(layer) for layer in layers or []],
        "grid": [height, width],
        "text": text_length,
        "query": query,
        "colours": [*REGIONS.values(), COLOURS[1]],
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3.6))
    first = masks[layers[0] if layers else names[0]]
    plot_mask(first, text_length, ax=left, query=query, title=layers[0] if layers else names[0])
    plot_keys(first, query, text_length, grid, ax=right, title="what the framed query reads")
    alt = (
        f"An attention mask of {text_length} text tokens and a picture of {height} by {width} tokens, as a "
        f"matrix and as the keys of one query on the picture. Masks to choose from: {', '.join(names)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=_SCRIPT, figure=figure)


def encode_mask(mask) -> dict:
    """A boolean matrix in few characters: {"runs": [...]} or {"bits": base64}, whichever is shorter.

    Most masks repeat: a row is the row above it moved by one. So `runs` are the lengths of the runs, False
    first, of the matrix XOR itself moved one down and one to the right, row after row.
    """
    mask = _as_mask(mask)
    moved = np.zeros_like(mask)
    moved[1:, 1:] = mask[:-1, :-1]
    changes = (mask ^ moved).ravel()
    edges = np.flatnonzero(np.diff(changes.astype(np.int8), prepend=0)).tolist()
    runs = np.diff([0, *edges, changes.size]).tolist()
    if len(runs) * 3 < mask.size / 6:
        return {"runs": runs}
    return {"bits": base64.b64encode(np.packbits(mask.ravel()).tobytes()).decode()}


def _as_mask(mask, text_length: int | None = None, grid: tuple[int, int] | None = None) -> np.ndarray:
    array = mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not array.size or array.dtype != np.bool_:
        raise ReaderError(
            "A mask must be a square matrix of booleans, [query, key]; "
            f"this one is {array.dtype} {tuple(array.shape)}."
        )
    if grid is not None and len(array) != text_length + grid[0] * grid[1]:
        raise ReaderError(
            f"The mask has {len(array)} positions, but {text_length} text tokens and a grid of "
            f"{grid[0]} x {grid[1]} make {text_length + grid[0] * grid[1]}."
        )
    return array


def _regions(length: int, text_length: int):
    text, picture = slice(0, text_length), slice(text_length, length)
    yield (text, slice(0, length)), REGIONS["text to text"]
    yield (picture, text), REGIONS["picture to text"]
    yield (picture, picture), REGIONS["picture to picture"]


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


_SCRIPT = r"""
var H=data.grid[0],W=data.grid[1],T=data.text,N=H*W,L=T+N,query=data.query,chosen=0,layer=0,through=false;
var many=data.layers.length>0,el=kit.el;

function decode(m){                      // the inverse of encode_mask, into one byte an entry
  var out=new Uint8Array(L*L),i,j,value=0,at=0;
  if(m.bits){var raw=atob(m.bits);for(i=0;i<L*L;i++)out[i]=raw.charCodeAt(i>>3)>>(7-(i&7))&1;return out;}
  m.runs.forEach(function(n){if(value)out.fill(1,at,at+n);at+=n;value^=1;});
  for(i=1;i<L;i++)for(j=1;j<L;j++)out[i*L+j]^=out[(i-1)*L+j-1];
  return out;
}
var masks=data.masks.map(decode),pictures=[];
function mask(){return masks[many?data.layers[layer]:chosen];}

// For each token: through how many layers, at least, it reaches the query; -1 where it cannot.
function distances(){
  var far=new Int16Array(L).fill(-1),front=new Uint8Array(L);front[query]=1;far[query]=0;
  for(var l=layer,step=1;l>=0;l--,step++){
    var m=masks[data.layers[l]],next=new Uint8Array(L);
    for(var q=0;q<L;q++)if(front[q])for(var k=0;k<L;k++)if(m[q*L+k])next[k]=1;
    for(k=0;k<L;k++){if(front[k])next[k]=1;if(next[k]&&far[k]<0)far[k]=step;}   // the residual path keeps what is known
    front=next;
  }
  return far;
}

var controls=el('div',{},root);
if(many){
  var names=data.layers.map(function(m,i){var n=data.masks[m].name,t='layer '+(i+1);return n===t?t:t+': '+n;});
  var pick=kit.slider(controls,{label:'layer',min:1,max:names.length,value:1,
    format:function(v){return names[v-1].replace(/^layer /,'');},change:function(v){layer=v-1;draw();}});
  var box=el('label',{},controls),tick=el('input',{type:'checkbox'},box);
  el('span',{},box,'through all layers up to this one');
  tick.addEventListener('change',function(){through=tick.checked;draw();});
}else if(masks.length>1){
  var pick=kit.choice(controls,{label:'mask',options:data.masks.map(function(m){return m.name;}),change:function(v){chosen=v;draw();}});
}

var stage=el('div',{tabindex:0,role:'application','aria-label':'Query. Left and right arrow: the token before and after. '+
  'Up and down: a row. Page up and down: another mask or layer. Home and end: first and last token.',
  style:'display:flex;flex-wrap:wrap;gap:1.2em;align-items:flex-start;padding:.3em;margin-top:.4em'},root);
var left=el('div',{style:'flex:1 1 15em;max-width:22em'},stage),right=el('div',{style:'flex:1 1 15em;max-width:22em'},stage);
var cell=Math.max(1,Math.floor(660/L)),matrix=el('canvas',{width:L*cell,height:L*cell,'class':'pixels matrix',
  style:'width:100%;background:#fff;cursor:crosshair;display:block;touch-action:none'},left);
el('small',{},left,'rows: queries, columns: keys');
var columns=Math.max(W,Math.min(T,8)),textRows=Math.ceil(T/columns),gap=T?0.6:0,size=Math.max(8,Math.floor(660/columns));
var board=el('canvas',{width:columns*size+2,height:Math.ceil((textRows+gap+H)*size)+2,'class':'board',
  style:'width:100%;max-height:32em;object-fit:contain;background:#fff;cursor:crosshair;display:block;touch-action:none'},right);
el('small',{},right,(T?'the text above, ':'')+'the picture'+(T?' below':'')+'; ');
var legend=el('small',{},right,'');
var says=el('p',{'aria-live':'polite','class':'says',style:'margin:.5em 0 0'},root);
el('small',{},root,'Point at a token, or use the arrow keys; page up and page down change the mask.');

function region(q,k){return q<T?0:k<T?1:2;}
function rgb(hex){return [1,3,5].map(function(i){return parseInt(hex.substr(i,2),16);});}
function drawMatrix(){
  var m=mask(),which=many?data.layers[layer]:chosen,c=matrix.getContext('2d'),i;
  if(!pictures[which]){
    var image=new ImageData(L,L),colours=data.colours.map(rgb);
    for(var q=0;q<L;q++)for(var k=0;k<L;k++){i=4*(q*L+k);
      var p=m[q*L+k]?colours[region(q,k)]:[255,255,255];
      image.data[i]=p[0];image.data[i+1]=p[1];image.data[i+2]=p[2];image.data[i+3]=255;}
    var off=document.createElement('canvas');off.width=off.height=L;off.getContext('2d').putImageData(image,0,0);
    pictures[which]=off;
  }
  c.imageSmoothingEnabled=false;c.globalAlpha=1;c.fillStyle='#fff';c.fillRect(0,0,L*cell,L*cell);
  c.globalAlpha=0.4;c.drawImage(pictures[which],0,0,L*cell,L*cell);c.globalAlpha=1;
  if(cell>5){c.strokeStyle='#ced4da';c.lineWidth=1;c.beginPath();
    for(i=0;i<=L;i++){c.moveTo(i*cell,0);c.lineTo(i*cell,L*cell);c.moveTo(0,i*cell);c.lineTo(L*cell,i*cell);}c.stroke();}
  c.strokeStyle='#000';c.lineWidth=Math.max(1,L*cell/660);
  if(T){c.beginPath();c.moveTo(T*cell,0);c.lineTo(T*cell,L*cell);c.moveTo(0,T*cell);c.lineTo(L*cell,T*cell);c.stroke();}
  var thick=Math.max(cell,Math.ceil(L*cell/130)),top=query*cell+(cell-thick)/2;
  c.fillStyle='#fff';c.fillRect(0,top,L*cell,thick);
  for(k=0;k<L;k++)if(m[query*L+k]){c.fillStyle=data.colours[region(query,k)];c.fillRect(k*cell,top,cell,thick);}
  c.strokeStyle=data.colours[3];c.lineWidth=2*L*cell/660;c.strokeRect(0,top,L*cell,thick);
}
function place(p){return p<T?[p%columns*size+1,Math.floor(p/columns)*size+1]:
  [(p-T)%W*size+1,(textRows+gap+Math.floor((p-T)/W))*size+1];}
function drawBoard(far){
  var m=mask(),c=board.getContext('2d');c.clearRect(0,0,board.width,board.height);c.fillStyle='#fff';
  c.fillRect(0,0,board.width,board.height);c.textAlign='center';c.textBaseline='middle';
  c.font=Math.floor(size*.5)+'px system-ui,sans-serif';
  for(var p=0;p<L;p++){
    var at=place(p),x=at[0],y=at[1],reads=m[query*L+p],steps=far?far[p]:-1;
    c.fillStyle=p===query?data.colours[3]:reads?data.colours[2]:steps>0?'#b8dcf2':p<query?'#dee2e6':'#fff';
    c.fillRect(x,y,size,size);
    if(p>query&&!reads&&steps<0&&size>14){c.strokeStyle='#adb5bd';c.lineWidth=1;c.beginPath();
      c.moveTo(x,y+size);c.lineTo(x+size,y);c.moveTo(x,y+size/2);c.lineTo(x+size/2,y);
      c.moveTo(x+size/2,y+size);c.lineTo(x+size,y+size/2);c.stroke();}
    c.strokeStyle='#868e96';c.lineWidth=1;c.strokeRect(x,y,size,size);
    c.fillStyle=p===query||reads?'#fff':'#000';
    if(p===query){c.strokeStyle='#fff';c.lineWidth=Math.max(2,size/9);c.beginPath();
      c.moveTo(x+size*.25,y+size*.25);c.lineTo(x+size*.75,y+size*.75);
      c.moveTo(x+size*.75,y+size*.25);c.lineTo(x+size*.25,y+size*.75);c.stroke();}
    else if(far&&steps>0&&size>=18)c.fillText(steps,x+size/2,y+size/2);
    else if(reads){c.beginPath();c.arc(x+size/2,y+size/2,Math.max(1.5,size/9),0,7);c.fill();}
  }
}
function name(p){return p<T?'text token '+(p+1)+' of '+T:
  'picture token '+(p-T)+' (row '+(Math.floor((p-T)/W)+1)+', column '+((p-T)%W+1)+')';}
function draw(){
  var m=mask(),far=many&&through?distances():null,text=0,earlier=0,itself=m[query*L+query],future=0,reach=0;
  for(var k=0;k<L;k++){if(m[query*L+k]){if(k<T)text++;else if(k<query)earlier++;else if(k>query)future++;}
    if(far&&far[k]>0)reach++;}
  drawMatrix();drawBoard(far);
  legend.textContent='×: the query, •: a key that it reads, grey: earlier and not read, '+(size>14?'hatched':'white')+': the future'+
    (far?', numbers: through how many layers':'');
  var line=name(query)+' reads '+(text+earlier+itself+future)+' tokens: '+text+' of the text, '+earlier+
    ' earlier of the picture'+(itself?', itself':', not itself')+(future?', and '+future+' of its future!':'.');
  if(query<T)line=name(query)+' reads '+text+' text tokens'+(earlier+future?' and '+(earlier+future)+' picture tokens!':'.');
  if(far)line+=' Through layers 1 to '+(layer+1)+', '+reach+' other tokens can reach it.';
  says.textContent=line.charAt(0).toUpperCase()+line.slice(1);
  stage.setAttribute('data-query',query);
}
function choose(p){p=Math.max(0,Math.min(L-1,p));if(p!==query){query=p;draw();}}
function point(canvas,event){var r=canvas.getBoundingClientRect();
  return [(event.clientX-r.left)/r.width*canvas.width,(event.clientY-r.top)/r.height*canvas.height];}
function onMatrix(event){choose(Math.floor(point(matrix,event)[1]/cell));}
function onBoard(event){
  var at=point(board,event),column=Math.floor((at[0]-1)/size),y=(at[1]-1)/size,row;
  if(column<0||column>=columns||y<0)return;
  if(y<textRows){row=Math.floor(y)*columns+column;if(row<T)choose(row);return;}
  row=Math.floor(y-textRows-gap);if(row>=0&&row<H&&column<W)choose(T+row*W+column);
}
['pointermove','pointerdown'].forEach(function(kind){
  matrix.addEventListener(kind,onMatrix);board.addEventListener(kind,onBoard);});
stage.addEventListener('keydown',function(event){
  var step={ArrowLeft:-1,ArrowRight:1,ArrowUp:-W,ArrowDown:W,Home:-L,End:L}[event.key];
  if(event.ctrlKey||event.metaKey||event.altKey)return;
  if(step){choose(query+step);event.preventDefault();}
  else if(pick&&(event.key==='PageUp'||event.key==='PageDown')){
    var last=many?data.layers.length:masks.length-1,first=many?1:0;
    pick.value=Math.max(first,Math.min(last,+pick.value+(event.key==='PageDown'?1:-1)));
    pick.dispatchEvent(new Event(many?'input':'change'));event.preventDefault();
  }
});
draw();
"""  # noqa: E501
