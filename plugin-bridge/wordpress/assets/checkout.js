// The way to pay in the checkout that is made of blocks, written without a build step.
((registry, settings, element, { decodeEntities }) => {
  const { title = '', description = '', supports = [] } = settings.getSetting('counterfoil_data', {});
  const label = decodeEntities(title);
  const Content = () => element.createElement('p', null, decodeEntities(description));
  registry.registerPaymentMethod({
    name: 'counterfoil',
    label,
    ariaLabel: label,
    content: element.createElement(Content),
    edit: element.createElement(Content),
    canMakePayment: () => true,
    supports: { features: supports },
  });
})(window.wc.wcBlocksRegistry, window.wc.wcSettings, window.wp.element, window.wp.htmlEntities);
