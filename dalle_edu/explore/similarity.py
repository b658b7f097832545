"""The matrix of cosines between pictures and captions (chapter 12): as a figure, and to touch.

Rows are pictures, columns captions, as in `pictures @ texts.T`; a framed cell is a picture with its own
caption, a dot marks the caption that is nearest to the picture of its row, a cross one that is not its own.
"""

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS


def plot_similarity(similarities, own=None, ax=None, title: str | None = None, colorbar: bool = True) -> None:
    """Draws cosines (pictures, captions), dark where high, with each row's own and nearest caption marked.

    `own` (pictures,): which caption is each picture's; by default the diagonal of a square. Returns None.
    Raises ReaderError for other shapes.
    """
    values, own = _checked(similarities, own)
    ax = ax or plt.gca()
    shown = ax.imshow(values, cmap="Blues", vmin=min(0.0, float(values.min())), vmax=1)
    nearest = values.argmax(1)
    for row in range(len(values)):
        if own is not None:
            box = {"facecolor": "none", "edgecolor": "black", "linewidth": 1}
            ax.add_patch(plt.Rectangle((int(own[row]) - 0.5, row - 0.5), 1, 1, **box))
        right = own is None or nearest[row] == own[row]
        style = {"color": COLOURS[4 if right else 1], "markeredgecolor": "white", "markeredgewidth": 0.5}
        ax.plot(int(nearest[row]), row, marker="o" if right else "X", markersize=5, linestyle="", **style)
    ax.set(xlabel="captions", ylabel="pictures", xticks=[], yticks=[])
    if title:
        ax.set_title(title)
    if colorbar:
        ax.figure.colorbar(shown, ax=ax, shrink=0.8, label="cosine")


def _checked(similarities, own):
    values = torch.as_tensor(similarities).detach().cpu().float()
    if values.ndim != 2 or not values.numel() or not torch.isfinite(values).all():
        raise ReaderError(
            f"Similarities must be a matrix of numbers (pictures, captions); this is {tuple(values.shape)}."
        )
    if own is None and values.shape[0] == values.shape[1]:
        own = torch.arange(len(values))
    if own is not None:
        own = torch.as_tensor(own)
        if own.shape != values.shape[:1] or not 0 <= int(own.min()) <= int(own.max()) < values.shape[1]:
            raise ReaderError("own must name a caption for each picture, from 0 on: one column a row.")
    return values, own


def similarity_explorer(
    similarities, images, captions, scale: float = 1 / 0.07, own=None, title="Pictures and captions"
) -> Explorer:
    """A figure to touch: point at a cell, or use the arrow keys, and see picture, caption and cosine.

    similarities: (pictures, captions) cosines. images: (pictures, 3, H, W) in [0, 1]. captions: one text a
    column. scale: what the cosines are multiplied with before the softmax, CLIP's exp(t). own: (pictures,),
    the column of each picture's own caption; by default the diagonal of a square. Raises ReaderError for
    other numbers of pictures or captions.
    """
    values, own = _checked(similarities, own)
    if (len(images), len(captions)) != tuple(values.shape):
        raise ReaderError(
            f"A matrix of {values.shape[0]} pictures and {values.shape[1]} captions needs as many of each; "
            f"given are {len(images)} and {len(captions)}."
        )
    start = 0
    if own is not None:  # where there is something to see: a picture whose nearest caption is not its own
        wrong = (values.argmax(1) != own).nonzero().flatten()
        start = int(wrong[0]) if len(wrong) else 0
    data = {
        # In thousandths: two processors agree on these almost always, on more digits not.
        "cosines": (values * 1000).round().long(),
        "pictures": [picture_uri(image) for image in images],
        "captions": [str(caption) for caption in captions],
        "own": own,
        "scale": round(float(scale), 2),
        "start": [start, int(values[start].argmax())],
    }
    figure = plt.figure(figsize=(6, 4.6))
    plot_similarity(values, own, ax=figure.add_subplot())
    alt = (
        f"A matrix of cosines of {len(images)} pictures, the rows, with {len(captions)} captions, the "
        "columns; dark cells are high. A picture's own caption is framed, the nearest has a dot or a cross."
    )
    return Explorer(title=title, alt=alt, data=data, script=_SCRIPT, figure=figure, height=420)


_SCRIPT = r"""
var el=kit.el,V=data.cosines,R=V.length,C=V[0].length,row=data.start[0],col=data.start[1],U=24,gap=U+6;
var low=0,high=1;
V.forEach(function(line){line.forEach(function(v){low=Math.min(low,v);});});
var wide=el('div',{style:'display:flex;flex-wrap:wrap;gap:1.2em;align-items:flex-start'},root);
var side=gap+C*U+2,svg=el('svg',{viewBox:'0 0 '+side+' '+(R*U+2),width:Math.min(side,400),tabindex:0,role:'application',
  'aria-label':'Cosines: a row is a picture, a column a caption. Arrow keys move; home and end: the nearest and the own caption.',
  style:'max-width:100%;cursor:crosshair;touch-action:manipulation'},wide);
function shade(v){                                  // white to dark blue, monotone in lightness
  var t=Math.max(0,Math.min(1,(v-low)/(1000-low)));
  return 'rgb('+[255-247*t,255-207*t,255-148*t].map(Math.round).join(',')+')';
}
function best(line){var b=0;line.forEach(function(v,c){if(v>line[b])b=c;});return b;}
var nearest=V.map(best);
V.forEach(function(line,r){
  el('image',{href:data.pictures[r],x:1,y:r*U+1,width:U,height:U,'class':'pixels'},svg);
  line.forEach(function(v,c){el('rect',{x:gap+c*U,y:r*U+1,width:U,height:U,fill:shade(v),stroke:'#868e96','stroke-width':.4},svg);});
});
V.forEach(function(line,r){
  if(data.own)el('rect',{x:gap+data.own[r]*U+1,y:r*U+2,width:U-2,height:U-2,fill:'none',stroke:'#000','stroke-width':1.5},svg);
  var right=!data.own||nearest[r]===data.own[r],x=gap+nearest[r]*U+U/2,y=r*U+1+U/2;
  if(right)el('circle',{cx:x,cy:y,r:U/6,fill:'#E69F00',stroke:'#fff'},svg);
  else el('path',{d:'M'+(x-5)+' '+(y-5)+'l10 10m0 -10l-10 10',stroke:'#fff','stroke-width':5,fill:'none'},svg),
    el('path',{d:'M'+(x-5)+' '+(y-5)+'l10 10m0 -10l-10 10',stroke:'#D55E00','stroke-width':3,fill:'none'},svg);
});
var halo=el('rect',{width:U,height:U,fill:'none',stroke:'#fff','stroke-width':6},svg);
var mark=el('rect',{width:U,height:U,fill:'none',stroke:'#D55E00','stroke-width':3},svg);
var panel=el('div',{style:'flex:1 1 14em;max-width:24em','aria-live':'polite','class':'says'},wide);
var photo=el('img',{alt:'the picture of this row',width:160,height:160,'class':'pixels',style:'border:1px solid var(--line)'},panel);
var own=el('p',{style:'margin:.3em 0'},panel),text=el('p',{style:'margin:.3em 0;font-weight:600'},panel);
var number=el('p',{style:'margin:.3em 0'},panel);
el('small',{},root,'Frame: the picture\u2019s own caption. Dot: the nearest caption, if that is its own'+
  (data.own?'; cross: the nearest caption, if it is another\u2019s.':'.')+' Point at a cell or use the arrow keys.');
function draw(){
  [halo,mark].forEach(function(m){m.setAttribute('x',gap+col*U);m.setAttribute('y',row*U+1);});
  photo.src=data.pictures[row];
  own.textContent=data.own?'Its own caption: \u201c'+data.captions[data.own[row]]+'\u201d':'';
  text.textContent='This cell: \u201c'+data.captions[col]+'\u201d'+(data.own&&data.own[row]===col?' (its own)':'');
  var v=V[row][col],place=1,sum=0;
  V[row].forEach(function(w){if(w>v)place++;sum+=Math.exp(data.scale*(w-v)/1000);});
  var p=100/sum;
  number.textContent='Cosine '+(v/1000).toFixed(2)+', place '+place+' of '+C+' for this picture; the softmax at scale '+
    data.scale.toFixed(0)+' gives it '+(p<0.1?'less than 0.1':p.toFixed(p<10?1:0))+' %.';
  svg.setAttribute('data-cell',row+','+col);
}
function at(event){
  var b=svg.getBoundingClientRect(),f=side/b.width,c=Math.floor(((event.clientX-b.left)*f-gap)/U),
    r=Math.floor(((event.clientY-b.top)*f-1)/U);
  if(r<0||r>=R||c>=C)return;
  if(c<0)c=data.own?data.own[r]:nearest[r];          // on the picture itself: its own caption
  row=r;col=c;draw();
}
['pointermove','pointerdown'].forEach(function(kind){svg.addEventListener(kind,at);});
svg.addEventListener('keydown',function(event){
  if(event.ctrlKey||event.metaKey||event.altKey)return;
  var move={ArrowLeft:[0,-1],ArrowRight:[0,1],ArrowUp:[-1,0],ArrowDown:[1,0]}[event.key];
  if(move){row=Math.max(0,Math.min(R-1,row+move[0]));col=Math.max(0,Math.min(C-1,col+move[1]));}
  else if(event.key==='Home')col=nearest[row];
  else if(event.key==='End'&&data.own)col=data.own[row];
  else return;
  event.preventDefault();draw();
});
draw();
"""  # noqa: E501
