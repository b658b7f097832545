"""Loss against arithmetic for models of several sizes (chapter 10): as curves, and to touch, with what each draws there.

FLOPs of a training step = 3 * batch * forward FLOPs a picture (Kaplan et al. 2020, section 2.1; `dalle_edu.scale`)
"""
# The script at the end is JavaScript with long lines.
# ruff: noqa: E501

import matplotlib.pyplot as plt
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri
from dalle_edu.explore.figures import COLOURS

_MARKERS = ("o", "s", "^", "D")
_LINES = ("-", "--", "-.", ":")


def plot_scaling(sizes: list[dict], key: str = "image", ax=None) -> None:
    """Draws loss against FLOPs, both logarithmic, a line a size.

    sizes: what `experiments/scaling.py` stores: "width" and "points", each with "flops" and the loss `key`. The start, which cost
    nothing, has no place on a logarithmic axis.
    """
    ax = ax or plt.gca()
    for size, colour, marker, style in zip(sizes, COLOURS, _MARKERS, _LINES, strict=False):
        points = [point for point in size["points"] if point["flops"]]
        ax.loglog(
            [point["flops"] for point in points],
            [point[key] for point in points],
            color=colour,
            marker=marker,
            linestyle=style,
            label=f"width {size['width']}",
        )
    # Plain numbers: on less than two powers of ten, 6 x 10^-1 is hard to read.
    low, high = ax.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10) if low <= tick <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="FLOPs spent in training", ylabel=f"nats a token, {key}")
    ax.legend()


def scaling_explorer(
    sizes: list[dict], prompts: list[str], pictures: Tensor, title: str = "The same arithmetic, three sizes"
) -> Explorer:
    """A figure to touch: move along the arithmetic spent, and see each size's loss and what it draws there.

    sizes as in `plot_scaling`, each with the same number of points; pictures (sizes, points, prompts, 3, H, W) in [0, 1].
    Raises ReaderError where these numbers do not fit together.
    """
    counts = (len(sizes), len(sizes[0]["points"]) if sizes else 0, len(prompts))
    lengths = {len(size["points"]) for size in sizes}
    if tuple(pictures.shape[:3]) != counts or len(lengths) != 1 or 0 in counts:
        raise ReaderError(
            f"The pictures are {tuple(pictures.shape[:3])} of (sizes, points, prompts), but there are {counts[0]} sizes with "
            f"{sorted(lengths)} points and {counts[2]} prompts."
        )
    data = {
        "prompts": list(prompts),
        "names": [f"width {size['width']}" for size in sizes],
        "flops": [[point["flops"] for point in size["points"]] for size in sizes],
        "steps": [[point["step"] for point in size["points"]] for size in sizes],
        "loss": [[point["image"] for point in size["points"]] for size in sizes],
        "pictures": [[[picture_uri(p) for p in row] for row in size] for size in pictures],
    }
    figure, ax = plt.subplots(figsize=(7, 3.2))
    plot_scaling(sizes, ax=ax)
    alt = (
        f"Loss of the picture tokens against FLOPs for {', '.join(data['names'])}, both axes logarithmic. The live figure shows, for "
        f"each amount of arithmetic, what each size draws for {'; '.join(prompts)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=_SCRIPT, figure=figure)


_SCRIPT = r"""
var el=kit.el,n=data.flops[0].length,W=460,H=190,L=42,B=30,marks=['circle','rect','polygon','circle'],dashes=['','7 4','8 3 2 3','2 3'];
var all=[].concat.apply([],data.loss),last=0;data.flops.forEach(function(f){last=Math.max(last,f[n-1]);});
var first=Infinity;data.flops.forEach(function(f){first=Math.min(first,f[1]);});
var top=Math.max.apply(0,all)*1.1,low=Math.min.apply(0,all)*.9;
function X(f){return L+14+(Math.log(f)-Math.log(first))/(Math.log(last)-Math.log(first))*(W-L-90);}
function Y(v){return 8+(Math.log(top)-Math.log(v))/(Math.log(top)-Math.log(low))*(H-B-8);}
var svg=el('svg',{viewBox:'0 0 '+W+' '+H,style:'width:100%;max-width:40em',role:'img','aria-label':'Loss against arithmetic'},root);
el('line',{x1:L,x2:W,y1:H-B,y2:H-B,stroke:'var(--line)'},svg);el('line',{x1:L,x2:L,y1:0,y2:H-B,stroke:'var(--line)'},svg);
[.25,.5,1,2,4,8].forEach(function(v){if(v<top&&v>low){el('text',{x:L-6,y:Y(v)+4,'text-anchor':'end'},svg,String(v));
  el('line',{x1:L,x2:W,y1:Y(v),y2:Y(v),stroke:'var(--line)','stroke-width':.4,'stroke-dasharray':'2 4'},svg);}});
el('text',{x:(L+W)/2,y:H-6,'text-anchor':'middle'},svg,'arithmetic spent (each mark: twice as much), nats a token upwards');
data.names.forEach(function(name,s){
  var c=kit.colours[s],p=[];for(var i=1;i<n;i++)p.push(X(data.flops[s][i])+','+Y(data.loss[s][i]));
  el('polyline',{points:p.join(' '),fill:'none',stroke:c,'stroke-width':2,'stroke-dasharray':dashes[s]},svg);
  p.forEach(function(q){var x=+q.split(',')[0],y=+q.split(',')[1];
    if(marks[s]==='circle')el('circle',{cx:x,cy:y,r:3.5,fill:c},svg);
    else if(marks[s]==='rect')el('rect',{x:x-3.2,y:y-3.2,width:6.4,height:6.4,fill:c},svg);
    else el('polygon',{points:x+','+(y-4.5)+' '+(x+4)+','+(y+3)+' '+(x-4)+','+(y+3),fill:c},svg);});
});
var cursor=el('line',{y1:0,y2:H-B,stroke:kit.colours[1],'stroke-width':1.5,'stroke-dasharray':'3 3'},svg);
var says=el('p',{'aria-live':'polite','class':'says',style:'margin:.3em 0'},root);
var table=el('div',{style:'display:grid;grid-template-columns:minmax(5.5em,8em) repeat('+data.prompts.length+',minmax(0,84px));gap:5px;align-items:center'},root);
el('span',{},table);data.prompts.forEach(function(p){el('small',{},table,p);});
var words=[],images=[];
data.names.forEach(function(name,s){words.push(el('small',{},table,name));
  images.push(data.prompts.map(function(p){return el('img',{'class':'pixels',style:'width:100%;border:1px solid var(--line)',alt:name+': '+p},table);}));});
function draw(i){
  cursor.setAttribute('visibility',i?'visible':'hidden');if(i){cursor.setAttribute('x1',X(data.flops[0][i]));cursor.setAttribute('x2',X(data.flops[0][i]));}
  var best=0;data.names.forEach(function(name,s){
    if(data.loss[s][i]<data.loss[best][i])best=s;
    words[s].textContent=name+', '+data.steps[s][i]+' steps: '+data.loss[s][i].toFixed(2)+' nats';
    images[s].forEach(function(image,p){image.src=data.pictures[s][i][p];});});
  says.textContent=i?'After about '+(data.flops[0][i]/1e12).toPrecision(2)+' · 10¹² FLOPs, '+data.names[best]+' predicts best.':'Before training: every code is about as probable as any other.';
}
kit.slider(root,{label:'arithmetic spent',min:0,max:n-1,value:n-1,format:function(v){return v?(data.flops[0][v]/1e12).toPrecision(2)+' · 10¹²':'none';},change:draw});
"""
