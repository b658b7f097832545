"""Best of N, to touch (chapter 12): a slider over N, the winner among the first N samples, all below it.

The samples stand in the order in which they were drawn, so that N = 1 is what one gets without a ranking.
"""

import matplotlib.pyplot as plt
import torch

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS, picture_grid

_COLUMNS = 16


def winners(scores) -> torch.Tensor:
    """Which of the first N samples has the highest score, for each N: (samples,) -> (samples,) int64."""
    scores, best = torch.as_tensor(scores), [0]
    for i in range(1, len(scores)):  # of equals the first, as `rank` has it
        best.append(i if scores[i] > scores[best[-1]] else best[-1])
    return torch.tensor(best)


def plot_best_of(scores, ax=None, label: str = "the best so far", mark: int | None = None) -> None:
    """Draws each sample's score and the best of the first N against N; `mark`: an N to point out."""
    scores = torch.as_tensor(scores).detach().cpu().float()
    ax = ax or plt.gca()
    n = torch.arange(1, len(scores) + 1)
    best = scores[winners(scores)]
    ax.plot(n, scores, linestyle="", marker=".", color="grey", markersize=4, label="one sample")
    ax.step(n, best, where="post", color=COLOURS[0], label=label)
    if mark is not None:
        ax.plot(mark, best[mark - 1], marker="o", color=COLOURS[1], markersize=8)
    ax.set(xlabel="samples drawn", ylabel="CLIP's similarity")


def best_of_explorer(prompt: str, images, scores, right=None, n: int = 8) -> Explorer:
    """A figure to touch: move N, and see which of the first N drawings CLIP puts first.

    images: (samples, 3, H, W) in [0, 1] in the order of drawing, with their scores (samples,). right: a
    judge's verdicts, one bool a sample, shown as ticks. n: the N chosen at first. Raises ReaderError for
    numbers of scores or verdicts that do not fit, and for more than 512 samples.
    """
    scores = torch.as_tensor(scores).detach().cpu().float()
    count = len(images)
    if not 1 <= count <= 512 or scores.shape != (count,) or not torch.isfinite(scores).all():
        raise ReaderError(f"Give 1 to 512 drawings and a score for each: {count} and {tuple(scores.shape)}.")
    if right is not None and len(right) != count:
        raise ReaderError(f"There are {count} drawings but {len(right)} verdicts; give one a drawing.")
    n = max(1, min(n, count))
    best = winners(scores)
    data = {
        "sheet": picture_uri(_sheet(images)),
        "columns": _COLUMNS,
        "rows": -(-count // _COLUMNS),
        # In thousandths: two processors agree on these almost always, on more digits not.
        "scores": (scores * 1000).round().long(),
        "best": best,
        "right": None if right is None else [bool(r) for r in right],
        "n": n,
    }
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), width_ratios=[1, 2.4])
    picture_grid(images[best[n - 1]][None], ax=axes[0])
    axes[0].set_title(f"best of {n}")
    plot_best_of(scores, ax=axes[1], mark=n)
    alt = (
        f"“{prompt}”: the drawing that CLIP puts first among the first {n} of {count}, beside the best score "
        "so far against the number of drawings: stairs that rise steeply at first, then ever more rarely."
    )
    title = f"“{prompt}”: the best of N"
    return Explorer(title=title, alt=alt, data=data, script=_SCRIPT, figure=figure, height=430)


def _sheet(images) -> torch.Tensor:
    """(n, 3, H, W) -> one picture of rows of 16, the last filled with white."""
    images = torch.as_tensor(images).detach().cpu().float()
    blank = torch.ones(-len(images) % _COLUMNS, *images.shape[1:])
    rows = torch.cat([images, blank]).unflatten(0, (-1, _COLUMNS))  # (rows, 16, 3, H, W)
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


_SCRIPT = r"""
var el=kit.el,S=data.scores,M=S.length,Z=38,big=168;
function piece(i,size,parent,style){
  return el('div',{'class':'pixels',style:'width:'+size+'px;height:'+size+'px;background-image:url('+data.sheet+
    ');background-size:'+data.columns*size+'px '+data.rows*size+'px;background-position:'+-(i%data.columns)*size+'px '+
    -Math.floor(i/data.columns)*size+'px;'+(style||'')},parent);
}
var top_=el('div',{style:'display:flex;flex-wrap:wrap;gap:1.2em;align-items:flex-start'},root);
var winner=el('div',{style:'width:'+big+'px'},top_),W=300,H=big,P=34;
var svg=el('svg',{viewBox:'0 0 '+W+' '+H,width:W,style:'max-width:100%',role:'img','aria-label':'the best score so far against N'},top_);
var low=Math.min.apply(null,S),high=Math.max.apply(null,S),range=Math.max(1,high-low);
function x(n){return P+(W-P-8)*(n-1)/Math.max(1,M-1);}
function y(s){return 10+(H-40)*(high-s)/range;}
var path='M'+x(1)+' '+y(S[data.best[0]]);
for(var i=1;i<M;i++)path+='H'+x(i+1)+'V'+y(S[data.best[i]]);
S.forEach(function(s,i){el('circle',{cx:x(i+1),cy:y(s),r:1.5,fill:'#868e96'},svg);});
el('path',{d:path,fill:'none',stroke:'var(--accent)','stroke-width':2},svg);
var dot=el('circle',{r:6,fill:'#D55E00',stroke:'#fff','stroke-width':1.5},svg);
el('text',{x:2,y:y(high)+4},svg,(high/1000).toFixed(2));el('text',{x:2,y:y(low)+4},svg,(low/1000).toFixed(2));
el('text',{x:P,y:H-4},svg,'1');el('text',{x:W-8,y:H-4,'text-anchor':'end'},svg,String(M));
el('text',{x:W/2,y:H-4,'text-anchor':'middle'},svg,'samples drawn');
var controls=el('div',{},root),said=el('p',{'aria-live':'polite','class':'says',style:'margin:.3em 0'},root);
var wall=el('div',{style:'display:flex;flex-wrap:wrap;gap:4px;margin-top:.4em'},root);
var tiles=S.map(function(s,i){
  var t=piece(i,Z,wall,'position:relative;outline-offset:0');
  t.title='sample '+(i+1)+', similarity '+(s/1000).toFixed(2)+(data.right?data.right[i]?', right':', wrong':'');
  if(data.right&&data.right[i])el('span',{style:'position:absolute;right:0;bottom:0;font:bold 11px sans-serif;line-height:12px;'+
    'padding:0 1px;background:#fff;color:#000;border:1px solid #000'},t,'\u2713');
  return t;
});
if(data.right)el('small',{},root,'\u2713: right, by the judge, whom CLIP does not know.');
function show(n){
  var b=data.best[n-1];
  winner.textContent='';
  piece(b,big,winner,'border:1px solid var(--line);box-sizing:border-box');
  dot.setAttribute('cx',x(n));dot.setAttribute('cy',y(S[b]));
  tiles.forEach(function(t,i){
    t.style.opacity=i<n?1:.2;
    t.style.outline=i===b?'3px solid #D55E00':i<n?'1px solid var(--line)':'none';
  });
  var some=0;
  if(data.right)for(var i=0;i<n;i++)some+=data.right[i]?1:0;
  said.textContent='Best of '+n+': sample '+(b+1)+', similarity '+(S[b]/1000).toFixed(2)+
    (data.right?', and the judge says: '+(data.right[b]?'right':'wrong')+'. Right among these '+n+': '+some+'.':'.');
}
kit.slider(controls,{label:'N',min:1,max:M,value:data.n,change:show,format:function(v){return v+' of '+M;}});
"""  # noqa: E501
