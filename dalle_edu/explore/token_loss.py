"""Which token of a picture is hard to predict (chapter 9): the loss of every place, over the picture, to touch.

    nats_j = -ln p(z_j | y, z_<j);      the picture's loss is their mean

One pass over a finished stream gives them all, since every place is predicted from what stands before it.
"""
# The script at the end is JavaScript with long lines.
# ruff: noqa: E501

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from dalle_edu.errors import ReaderError
from dalle_edu.explore.explorer import Explorer, picture_uri


@torch.inference_mode()
def token_losses(dalle, text: Tensor, tokens: Tensor) -> Tensor:
    """What each picture token cost, in nats: text (batch, text_length), tokens (batch, N) -> (batch, height, width)."""
    logits = dalle(text, tokens)[1].float().log_softmax(-1)
    nats = -logits.gather(2, tokens[..., None])[..., 0]
    return nats.view(-1, *dalle.config.grid)


def plot_token_losses(nats: Tensor, picture: Tensor | None = None, most: float = 6.0, ax=None) -> None:
    """Draws losses (height, width) in nats as circles, the larger the dearer, over `picture` (3, H, W) where there is one.

    A circle that fills its square stands for `most` nats or more.
    """
    ax = ax or plt.gca()
    height, width = nats.shape
    if picture is not None:
        pixels = picture.permute(1, 2, 0).clamp(0, 1).numpy()
        ax.imshow(pixels, extent=(0, width, height, 0), interpolation="nearest", alpha=0.6)
    for row in range(height):
        for column in range(width):
            radius = 0.5 * min(float(nats[row, column]) / most, 1.0) ** 0.5
            ax.add_patch(
                plt.Circle(
                    (column + 0.5, row + 0.5),
                    radius,
                    facecolor="#000000",
                    edgecolor="#ffffff",
                    linewidth=0.5,
                    alpha=0.75,
                )
            )
    ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    ax.set_xticks([]), ax.set_yticks([])


def token_loss_explorer(
    captions: list[str],
    pictures: Tensor,
    nats: dict[str, Tensor],
    title: str = "What each token costs",
) -> Explorer:
    """A figure to touch: choose a picture and a model, walk over its places, and read what each token cost.

    pictures: (n, 3, H, W) in [0, 1]; nats: for each model's name the losses of its tokens, (n, height, width). Raises
    ReaderError where their numbers differ.
    """
    counts = {len(captions), len(pictures), *map(len, nats.values())}
    if len(counts) != 1 or not nats or not captions:
        raise ReaderError(
            f"There are {len(captions)} captions, {len(pictures)} pictures and losses of "
            f"{[len(value) for value in nats.values()]}: give one of each a caption."
        )
    height, width = next(iter(nats.values())).shape[1:]
    data = {
        "captions": list(captions),
        "grid": [height, width],
        "models": list(nats),
        "pictures": [picture_uri(picture) for picture in pictures],
        # In hundredths: two processors agree on these almost always, on more digits not.
        "nats": [(value.flatten(1) * 100).round().long() for value in nats.values()],
    }
    figure, axes = plt.subplots(1, len(nats), figsize=(3.4 * len(nats), 3.5), squeeze=False)
    for ax, (name, value) in zip(axes[0], nats.items(), strict=True):
        plot_token_losses(value[0], pictures[0], ax=ax)
        ax.set_title(f"{name}: {value[0].mean():.2f} nats a token")
    alt = (
        f"The picture of “{captions[0]}” with a dark circle on each of its {height} by {width} places, the larger the more nats "
        f"its token cost, for {' and '.join(nats)}. Pictures to choose from: {'; '.join(captions)}."
    )
    return Explorer(title=title, alt=alt, data=data, script=_SCRIPT, figure=figure)


_SCRIPT = r"""
var H=data.grid[0],W=data.grid[1],N=H*W,which=0,model=0,at=0,el=kit.el,S=20;
var controls=el('div',{},root);
kit.choice(controls,{label:'picture',options:data.captions,change:function(v){which=v;draw();}});
kit.choice(controls,{label:'predicted by',options:data.models,value:data.models.length-1,change:function(v){model=v;draw();}});
var show=el('label',{},controls),box=el('input',{type:'checkbox',checked:''},show);el('span',{},show,'show the costs');
box.addEventListener('change',draw);
var stage=el('div',{style:'display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start'},root);
var svg=el('svg',{viewBox:'-1 -1 '+(W*S+2)+' '+(H*S+2),tabindex:0,role:'application','aria-label':
  'The picture’s places. Arrow keys move; home and end: first and last place; page down: the next dear token.',
  style:'flex:1 1 16em;max-width:24em;background:#fff;cursor:crosshair'},stage);
var picture=el('image',{width:W*S,height:H*S,'class':'pixels',preserveAspectRatio:'none'},svg);
var dots=[];for(var j=0;j<N;j++)dots.push(el('circle',{cx:(j%W+.5)*S,cy:(Math.floor(j/W)+.5)*S,fill:'#000','fill-opacity':.75,stroke:'#fff','stroke-width':.6},svg));
var veil=el('path',{fill:'#fff','fill-opacity':.72},svg);
var ring=el('rect',{width:S,height:S,fill:'none',stroke:kit.colours[1],'stroke-width':3},svg);
var side=el('div',{style:'flex:1 1 13em;min-width:12em'},stage),says=el('p',{'aria-live':'polite','class':'says',style:'margin:.2em 0'},side);
var bar=el('svg',{viewBox:'0 0 200 70',style:'width:100%;max-width:20em'},side),line=el('polyline',{fill:'none',stroke:'var(--accent)','stroke-width':1.5},bar),
  tick=el('line',{y1:0,y2:58,stroke:kit.colours[1],'stroke-width':1.5},bar);el('text',{x:0,y:69,'font-size':9},bar,'cost so far, from the first place to the last');
el('small',{},side,'Point at a place, or use the arrow keys. Veiled: not yet drawn when this token is predicted.');
function nats(j){return data.nats[model][which][j]/100;}
function from(e){var r=svg.getBoundingClientRect(),s=(W*S+2)/r.width,x=Math.floor(((e.clientX-r.left)*s-1)/S),y=Math.floor(((e.clientY-r.top)*s-1)/S);
  if(x>=0&&x<W&&y>=0&&y<H){at=y*W+x;draw();}}
svg.addEventListener('pointermove',from);svg.addEventListener('pointerdown',from);
svg.addEventListener('keydown',function(e){
  var moves={ArrowLeft:-1,ArrowRight:1,ArrowUp:-W,ArrowDown:W,Home:-N,End:N};
  if(e.key==='PageDown'){e.preventDefault();for(var k=1;k<=N;k++)if(nats((at+k)%N)>=2){at=(at+k)%N;break;}draw();return;}
  if(!(e.key in moves))return;e.preventDefault();at=Math.max(0,Math.min(N-1,at+moves[e.key]));draw();});
function draw(){
  picture.setAttribute('href',data.pictures[which]);
  var total=0,sum=0,points=[],all=0,j;for(j=0;j<N;j++)all+=nats(j);
  for(j=0;j<N;j++){var n=nats(j);dots[j].setAttribute('r',box.checked?S/2*Math.sqrt(Math.min(n/6,1)):0);total+=n;
    if(j<=at)sum+=n;points.push((j/(N-1)*200).toFixed(1)+','+(58-total/all*56).toFixed(1));}
  line.setAttribute('points',points.join(' '));var x=at/(N-1)*200;tick.setAttribute('x1',x);tick.setAttribute('x2',x);
  var c=at%W,r=Math.floor(at/W);ring.setAttribute('x',c*S);ring.setAttribute('y',r*S);
  veil.setAttribute('d','M'+(c+1)*S+' '+r*S+'H'+W*S+'V'+H*S+'H0V'+(r+1)*S+'H'+(c+1)*S+'Z');
  var n=nats(at),p=Math.exp(-n);
  says.textContent='Row '+r+', column '+c+': '+n.toFixed(2)+' nats; the model gave this code a probability of '+
    (p>=.1?Math.round(p*100):(p*100).toPrecision(2))+' %. So far '+sum.toFixed(0)+' of the picture’s '+all.toFixed(0)+' nats.';
}
"""
