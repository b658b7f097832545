"""Which scores a sparse attention layer computes, needed or not: as a matrix, and to touch (chapter 8).

A processor is fast at whole blocks, so a form that works in blocks computes more than the mask asks for, and
far less than the dense matrix. The counts are those of `dalle_edu.sparse.work`.
"""

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError, unknown_name
from dalle_edu.explore.explorer import Explorer
from dalle_edu.explore.figures import COLOURS
from dalle_edu.explore.masks import encode_mask
from dalle_edu.masks import attention_mask, mask_entries, picture_lags
from dalle_edu.sparse import _blocks, _tile, work

FORMS = {"dense": "dense, then masked", "gather": "gathered", "blocked": "in blocks"}
KINDS = ("row", "column", "conv")
NEEDED, IN_VAIN = COLOURS[0], "#F3C9A5"  # dark and light, so that grey prints tell them apart


def computed_pairs(
    kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11, form: str = "blocked"
) -> Tensor:
    """Which scores `sparse_attention` computes in a form: (L, L) bool, [query, key], both in raster order.

    Raises ReaderError as `dalle_edu.sparse.work` does.
    """
    work(kind, text_length, grid, kernel, form)  # names what is wrong, if anything is
    mask = attention_mask(kind, text_length, grid, kernel)
    if form == "dense" or kind == "dense":
        return torch.ones_like(mask)
    mask[:text_length, :text_length] = True
    height, width = grid
    if form == "gather" or (kind == "conv" and width < kernel // 2):
        return mask
    place = torch.arange(height * width)
    row, column = place // width, place % width
    if kind == "row":
        behind = row[:, None] - row
        picture = (behind == 0) | (behind == 1)
    elif kind == "column":
        picture = column[:, None] == column
    else:
        half = kernel // 2
        rows, columns = _tile(height, width, half)
        corner = row // rows * rows * width + column // columns * columns  # of each query's tile
        near = torch.arange(-half, rows)[:, None] * width + torch.arange(-half, columns + half)
        keys = corner[:, None] + near.flatten()
        picture = torch.zeros(len(place), len(place) + 1, dtype=torch.bool)
        picture.scatter_(1, keys.where((keys >= 0) & (keys < len(place)), len(place)), True)
        picture = picture[:, :-1]
    mask[text_length:, text_length:] = picture
    return mask


def block_order(kind: str, text_length: int, grid: tuple[int, int]) -> Tensor:
    """The order of the stream in which the blocks of `kind` are whole: column by column for "column", else as
    it is. (L,) int64: what stands at each place."""
    picture = torch.arange(grid[0] * grid[1]).reshape(grid)
    picture = picture.T if kind == "column" else picture
    return torch.cat([torch.arange(text_length), picture.flatten() + text_length])


def plot_tiles(
    kind: str, text_length: int, grid: tuple[int, int], kernel: int = 11, form: str = "blocked", ax=None
) -> None:
    """Draws the matrix of scores: dark where needed, light where `form` computes in vain, white elsewhere.

    Queries downwards, keys to the right, in `block_order`. The title says which share was needed.
    """
    ax = ax or plt.gca()
    order = block_order(kind, text_length, grid)
    computed = computed_pairs(kind, text_length, grid, kernel, form)[order][:, order]
    needed = attention_mask(kind, text_length, grid, kernel)[order][:, order]
    picture = torch.ones(*needed.shape, 3)
    picture[computed] = torch.tensor(_rgb(IN_VAIN))
    picture[needed] = torch.tensor(_rgb(NEEDED))
    ax.imshow(picture.numpy(), interpolation="nearest")
    if text_length:
        ax.axhline(text_length - 0.5, color="black", linewidth=0.8, linestyle="-")
        ax.axvline(text_length - 0.5, color="black", linewidth=0.8, linestyle="-")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    scores = work(kind, text_length, grid, kernel, form).scores
    share = mask_entries(kind, text_length, grid, kernel) / scores
    ax.set_title(f"{kind}, {FORMS[form]}\n{scores:,} scores, {share:.0%} needed", fontsize=10)


def tile_explorer(
    sides=(8, 12, 16, 20, 24), text_length: int = 8, kernel: int = 11, largest: int = 64
) -> Explorer:
    """A figure to touch: the scores that each form computes for each kind of mask, as the picture grows.

    `sides` are those of the square grids to choose from; the curves beside the matrix go on to `largest`.
    Raises ReaderError for sides that are not rising whole numbers from 1 to 32 (a matrix of more cells than a
    screen has pixels shows nothing), or a `largest` below them.
    """
    sides = list(sides)
    whole = all(isinstance(side, int) and 1 <= side <= 32 for side in sides)
    if not sides or not whole or sides != sorted(set(sides)) or largest < sides[-1]:
        raise ReaderError(
            f"sides must be rising whole numbers from 1 to 32 and largest no less, not {sides} and {largest}."
        )
    curve = sorted({*sides, *range(sides[0], largest, 4), largest})
    entries = []
    for kind in KINDS:
        matrices, tiles = [], []
        for side in sides:
            grid = (side, side)
            order = block_order(kind, text_length, grid)
            needed = attention_mask(kind, text_length, grid, kernel)[order][:, order]
            computed = computed_pairs(kind, text_length, grid, kernel)[order][:, order]
            matrices.append({"needed": encode_mask(needed), "computed": encode_mask(computed)})
            tiles.append(_blocks(kind, grid, kernel) if side >= kernel // 2 else _singles(kind, grid, kernel))
        done = {
            form: [_counts(kind, text_length, (side, side), kernel, form) for side in curve] for form in FORMS
        }
        needed = [mask_entries(kind, text_length, (side, side), kernel) for side in curve]
        entries.append({"name": kind, "matrices": matrices, "tiles": tiles, "work": done, "needed": needed})
    data = {
        "kinds": entries,
        "forms": list(FORMS.items()),
        "sides": sides,
        "curve": curve,
        "text": text_length,
        "colours": [NEEDED, IN_VAIN],
    }
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.9))
    middle = sides[len(sides) // 2 - (len(sides) > 4)]
    for kind, ax in zip(KINDS, axes, strict=True):
        plot_tiles(kind, text_length, (middle, middle), kernel, ax=ax)
    alt = (
        "The scores of one attention layer as a matrix, for row, column and conv masks, pictures of "
        f"{sides[0]} by {sides[0]} to {sides[-1]} by {sides[-1]} tokens: dark what is needed, light what "
        "is computed in vain, white what is left out. Beside it the scores against the picture's size."
    )
    return Explorer(
        title="Which scores are computed?", alt=alt, data=data, script=_SCRIPT, figure=figure, height=420
    )


def _singles(kind, grid, kernel):
    return grid[0] * grid[1], 1, len(picture_lags(kind, grid, kernel))


def _counts(kind, text_length, grid, kernel, form):
    counted = work(kind, text_length, grid, kernel, form)
    return [counted.scores, counted.keys]


def _rgb(colour: str) -> list[float]:
    if not colour.startswith("#"):
        raise unknown_name("colour", colour, COLOURS)
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


_SCRIPT = r"""
var el=kit.el,T=data.text,kind=0,form=2,at=Math.min(2,data.sides.length-1),cache={};
function decode(m,L){                    // the inverse of encode_mask, into one byte an entry
  var out=new Uint8Array(L*L),i,j,value=0,at=0;
  if(m.bits){var raw=atob(m.bits);for(i=0;i<L*L;i++)out[i]=raw.charCodeAt(i>>3)>>(7-(i&7))&1;return out;}
  m.runs.forEach(function(n){if(value)out.fill(1,at,at+n);at+=n;value^=1;});
  for(i=1;i<L;i++)for(j=1;j<L;j++)out[i*L+j]^=out[(i-1)*L+j-1];
  return out;
}
function matrix(which){
  var key=[kind,at,which].join();
  if(!cache[key])cache[key]=decode(data.kinds[kind].matrices[at][which],L());
  return cache[key];
}
function side(){return data.sides[at];}
function L(){return T+side()*side();}
function number(n){return n.toLocaleString('en');}
var controls=el('div',{},root);
kit.choice(controls,{label:'mask',options:data.kinds.map(function(k){return k.name;}),value:0,
  change:function(v){kind=v;draw();}});
kit.choice(controls,{label:'computed',options:data.forms.map(function(f){return f[1];}),value:2,
  change:function(v){form=v;draw();}});
kit.slider(controls,{label:'picture',min:0,max:data.sides.length-1,value:at,
  format:function(v){return data.sides[v]+' x '+data.sides[v]+' tokens';},change:function(v){at=v;draw();}});
var stage=el('div',{style:'display:flex;flex-wrap:wrap;gap:1.2em;align-items:flex-start;margin-top:.4em'},root);
var left=el('div',{style:'flex:1 1 15em;max-width:21em'},stage),right=el('div',{style:'flex:1 1 15em;max-width:21em'},stage);
var canvas=el('canvas',{'class':'pixels tiles',style:'width:100%;background:#fff;border:1px solid var(--line);display:block'},left);
el('small',{},left,'rows: queries, columns: keys. Dark: needed. Light: computed in vain. White: left out.');
var chart=el('svg',{viewBox:'0 0 345 300',style:'width:100%;display:block'},right);
el('small',{},right,'scores a head computes, against the tokens of the picture; both axes logarithmic');
var says=el('p',{'aria-live':'polite','class':'says',style:'margin:.5em 0 0'},root);

function rgb(hex){return [1,3,5].map(function(i){return parseInt(hex.substr(i,2),16);});}
function drawMatrix(){
  var n=L(),needed=matrix('needed'),name=data.forms[form][0],blocks=matrix('computed');
  canvas.width=canvas.height=n;
  var c=canvas.getContext('2d'),image=c.createImageData(n,n),dark=rgb(data.colours[0]),light=rgb(data.colours[1]);
  for(var q=0;q<n;q++)for(var k=0;k<n;k++){
    var i=q*n+k,done=name==='dense'||(name==='blocked'?blocks[i]:q<T&&k<T),p=needed[i]?dark:done?light:[255,255,255];
    image.data.set([p[0],p[1],p[2],255],4*i);
  }
  c.putImageData(image,0,0);
}
var first=data.curve[0],last=data.curve[data.curve.length-1];
var low=1e99,high=0;
data.kinds.forEach(function(k){low=Math.min(low,k.needed[0]);k.work.dense.forEach(function(w){high=Math.max(high,w[0]);});});
var bottom=Math.floor(Math.log10(low)),top=Math.ceil(Math.log10(high));
function X(s){return 46+Math.log(s/first)/Math.log(last/first)*236;}
function Y(v){return 262-(Math.log10(v)-bottom)/(top-bottom)*244;}
var dashes={dense:'',row:'8 3',column:'2 3',conv:'10 3 2 3'},marker;
function line(values,dash,width,parent,colour){
  el('polyline',{fill:'none',stroke:colour||'currentColor','stroke-width':width,'stroke-dasharray':dash,
    points:data.curve.map(function(s,i){return X(s).toFixed(1)+','+Y(values[i]).toFixed(1);}).join(' ')},parent);
}
function drawChart(){
  chart.textContent='';
  for(var p=bottom;p<=top;p++){
    el('line',{x1:46,x2:284,y1:Y(Math.pow(10,p)),y2:Y(Math.pow(10,p)),stroke:'var(--line)','stroke-width':.4},chart);
    el('text',{x:40,y:Y(Math.pow(10,p))+4,'text-anchor':'end'},chart,p<3?Math.pow(10,p):p<6?Math.pow(10,p-3)+'k':Math.pow(10,p-6)+'M');
  }
  data.curve.filter(function(s){return [8,16,32,64].indexOf(s)>=0||s===first||s===last;}).forEach(function(s){
    el('text',{x:X(s),y:280,'text-anchor':'middle'},chart,number(s*s));});
  var n=data.curve.length-1,spots=[['dense',data.kinds[0].work.dense]];
  data.kinds.forEach(function(k){spots.push([k.name,k.work.blocked]);});
  spots.forEach(function(s){
    var values=s[1].map(function(w){return w[0];}),mine=s[0]===data.kinds[kind].name;
    line(values,dashes[s[0]],mine?3:1.3,chart,mine?'var(--accent)':'currentColor');
    s.push(Y(values[n]));
  });
  spots.sort(function(a,b){return a[2]-b[2];});
  spots.forEach(function(s,i){if(i&&s[2]-spots[i-1][2]<13)s[2]=spots[i-1][2]+13;
    el('text',{x:290,y:s[2]+4,style:s[0]===data.kinds[kind].name?'font-weight:700':''},chart,s[0]);});
  var done=data.kinds[kind].work[data.forms[form][0]][data.curve.indexOf(side())][0];
  el('circle',{cx:X(side()),cy:Y(done),r:6,fill:'none',stroke:'#D55E00','stroke-width':3,'class':'mark'},chart);
}
function draw(){
  var k=data.kinds[kind],i=data.curve.indexOf(side()),name=data.forms[form][0],done=k.work[name][i],needed=k.needed[i];
  drawMatrix();drawChart();
  var t=k.tiles[at],line='A picture of '+side()+' x '+side()+' after '+T+' words: the '+k.name+' mask needs '+number(needed)+
    ' scores; '+data.forms[form][1]+', '+number(done[0])+' are computed, '+Math.round(100*needed/done[0])+' % of them needed. ';
  line+=name==='dense'?'Every query meets every key, whatever the mask says.':
    name==='gather'?'No score is wasted, but '+number(done[1])+' keys are copied, one by one.':
    number(t[0])+' blocks of '+number(t[1])+' queries share '+number(t[2])+' picture keys each; '+number(done[1])+' keys are lined up.';
  says.textContent=line;
}
"""  # noqa: E501
