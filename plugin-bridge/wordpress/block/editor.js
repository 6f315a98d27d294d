// The block in the editor, written without a build step.
(({ blocks, blockEditor, components, element, i18n, serverSideRender: ServerSideRender }) => {
  const { createElement: h } = element;
  const { __ } = i18n;

  const Edit = ({ attributes, setAttributes }) => {
    const offers = [{ value: 0, label: __('Choose a payment', 'counterfoil') }, ...(window.counterfoilPayments || [])];
    const choose = h(components.SelectControl, {
      label: __('Payment', 'counterfoil'),
      help: __('Payments are made in Counterfoil → Payments.', 'counterfoil'),
      value: attributes.payment,
      options: offers,
      onChange: (payment) => setAttributes({ payment: Number(payment) }),
    });
    const label = h(components.TextControl, {
      label: __('Text of the button', 'counterfoil'),
      value: attributes.label,
      onChange: (text) => setAttributes({ label: text }),
    });
    const shown = attributes.payment
      ? h(ServerSideRender, { block: 'counterfoil/payment', attributes })
      : h(components.Placeholder, { icon: 'tickets-alt', label: __('Payment link', 'counterfoil') }, choose);
    return h(
      'div',
      blockEditor.useBlockProps(),
      h(blockEditor.InspectorControls, null, h(components.PanelBody, { title: __('Payment', 'counterfoil') }, choose, label)),
      h(components.Disabled, { isDisabled: Boolean(attributes.payment) }, shown),
    );
  };

  blocks.registerBlockType('counterfoil/payment', { edit: Edit, save: () => null });
})(window.wp);
